#include "oracle/replay.hpp"

#include "oracle/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <stdexcept>
#include <system_error>

namespace kv::oracle {

namespace {

bool isPlain(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

/// One word of a POSIX shell.
std::string shellWord(std::string const& text) {
    auto const isSafe = [](char c) { return isPlain(c) || c == '/' || c == '-'; };
    if (!text.empty() && std::ranges::all_of(text, isSafe))
        return text;
    std::string word = "'";
    for (char c : text)
        word += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return word + "'";
}

}  // namespace

std::string traceFileName(std::string_view engine, std::string_view law) {
    std::string name = fmt::format("{}-{}.trace", engine, law);
    std::ranges::replace_if(
        name, [](char c) { return !isPlain(c); }, '-');
    // A name that starts with a dot hides, one that starts with '-' is taken for an option.
    if (name.front() == '.' || name.front() == '-')
        name.insert(0, "engine");
    return name;
}

std::filesystem::path saveTrace(std::filesystem::path const& directory, std::string_view label,
                                properties::Violation const& violation,
                                properties::Setup const& setup) {
    std::string const text =
        writeTrace({setup.declaration, violation.law, violation.trace, setup.fill});
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    auto const path = directory / traceFileName(setup.declaration.engine, label);
    std::ofstream stream(path, std::ios::binary);
    stream << text << std::flush;
    if (!stream)
        throw std::runtime_error(
            fmt::format("{} cannot be written; expected a directory that "
                        "may be made and written (--save DIR)",
                        path.string()));
    return path;
}

std::string replayCommand(std::filesystem::path const& file) {
    return "kvspec replay " + shellWord(file.string());
}

Replay replay(CounterexampleFile const& file, std::string_view name,
              std::vector<properties::Candidate> const& candidates) {
    Place const header{name};
    auto const candidate =
        std::ranges::find(candidates, file.declaration.engine, &properties::Candidate::name);
    if (candidate == candidates.end()) {
        std::vector<std::string_view> names;
        for (auto const& known : candidates)
            names.push_back(known.name);
        throw BadInput(header, fmt::format("declaration.engine is {}; expected {}",
                                           quote(file.declaration.engine), oneOf(names)));
    }
    properties::Setup const setup{file.declaration, file.fill};
    Replay result;
    try {
        candidate->make(setup);
    } catch (std::exception const& complaint) {
        throw BadInput(header, fmt::format("the engine {} cannot be built: {}; expected a "
                                           "declaration that it supports",
                                           quote(candidate->name), complaint.what()));
    }
    result.violation = properties::judge(*candidate, {setup, file.trace}, result.coverage);
    if (result.violation)
        result.violation = properties::underMostSpecificLaw(*candidate, setup, *result.violation);
    return result;
}

std::string printReplay(Replay const& replay, CounterexampleFile const& file,
                        std::filesystem::path const& path) {
    auto const& c = replay.coverage;
    std::string text;
    if (replay.violation)
        text = printVerdict(*replay.violation, replayCommand(path));
    else
        text = fmt::format(
            "held on this trace: {} verbs, {} refused; {} rows and {} outputs "
            "compared, {} of them with one right float\n",
            c.steps, c.refusals, c.rows, c.outputs, c.exactOutputs);
    std::string const now = replay.violation ? replay.violation->law : "";
    if (!file.law.empty() && file.law != now)
        text += fmt::format("the file was saved as a violation of {}\n", file.law);
    return text;
}

}  // namespace kv::oracle
