// expect-gnu: conversion from .Cache<
// expect-clang: no viable conversion from .Cache<
#include "spec/append.hpp"

using namespace kv;
Cache<int, int, Nat<2>> const grown = appendKV(Cache<int, int, Nat<2>>{}, 5, 6);
