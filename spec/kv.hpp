// kv: the whole specification, in reading order.
//
// A cache operation is an equation. Each header below is one verb or one idea: prose, definition,
// theorems, one example that the compiler checks. Read them in this order, or include this file.
#pragma once

// What lengths, sequences, statements and numbers are.
#include "extent.hpp"    // a length is a type or a number
#include "seq.hpp"       // n things, made by an index function
#include "theorem.hpp"   // a sentence, and the equation it stands for
#include "scalar.hpp"    // what a number must be able to do; sum, dot, softmaxMean

// What a cache is, and how it grows.
#include "cache.hpp"     // rows of past tokens, oldest first
#include "append.hpp"    // one more token
#include "capacity.hpp"  // what does not fit is refused

// What it is read for.
#include "rotation.hpp"  // a key is turned by its position
#include "position.hpp"  // where a token stands; shift
#include "heads.hpp"     // query heads share kv heads
#include "window.hpp"    // which keys a query sees
#include "attention.hpp" // what every shortcut must equal
#include "sink.hpp"      // what takes weight and adds nothing
#include "decode.hpp"    // one query through the cache
#include "prefill.hpp"   // many tokens at once
#include "layers.hpp"    // the whole model
#include "merge.hpp"     // a history that was read in parts

// How it is taken back, continued twice, and forgotten.
#include "rollback.hpp"  // the newest rows
#include "fork.hpp"      // one past, two futures
#include "share.hpp"     // who owns what they have in common
#include "reorder.hpp"   // the best of several
#include "release.hpp"   // a sequence, or every other one
#include "remove.hpp"    // rows from the middle
#include "evict.hpp"     // the oldest rows
#include "save.hpp"      // a copy outside, and back
#include "block_table.hpp"  // rows in blocks that tables name
#include "table_script.hpp"  // the same, done to lists
#include "paging.hpp"    // the same list again
#include "step.hpp"      // many sequences in one call
#include "invariance.hpp"  // what changes no bit

// What an engine is measured by.
#include "numerics.hpp"   // what it declares
#include "presets.hpp"    // what real engines would declare
#include "quantize.hpp"   // what it stores, code by code
#include "storage.hpp"    // the same by declaration, a token at a time
#include "memory.hpp"     // how many bytes that takes
#include "enclosure.hpp"  // what it may then compute
#include "spec.hpp"       // the spec as what is judged
#include "subject.hpp"    // every verb in turn
#include "erase.hpp"      // lengths as types, lengths as numbers
#include "laws.hpp"       // every theorem, under its verb
