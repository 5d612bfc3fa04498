// The command `kvspec`: parse what was typed, call the room that does it, answer an exit code.
//
// Exit codes: 0 held, 1 violated, 2 bad input or usage, 3 could have shown too little.
#include "oracle/candidates.hpp"
#include "oracle/catalog.hpp"
#include "oracle/infer.hpp"
#include "oracle/memory.hpp"
#include "oracle/meter.hpp"
#include "oracle/replay.hpp"
#include "oracle/presets.hpp"
#include "oracle/report.hpp"
#include "oracle/verify.hpp"
#include "oracle/vocabulary.hpp"
#include "properties/declaration.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <rapidcheck/detail/Configuration.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#ifndef KVSPEC_VERSION
#define KVSPEC_VERSION "without a version"
#endif

namespace kv::oracle {

namespace {

#ifdef __clang__
constexpr std::string_view compiler = __VERSION__;
#else
constexpr std::string_view compiler = "g++ " __VERSION__;
#endif

constexpr std::size_t mostCases = std::numeric_limits<int>::max();
constexpr std::size_t mostSeconds = 24 * 3600;

/// Whether each write reached its end, the stream itself remembers: see checkedOutput.
void say(std::string const& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}
void complain(std::string_view text) { fmt::print(stderr, "kvspec: {}\n", printable(text)); }

/// A bar on the last line of a terminal; nothing where stderr is no terminal.
class ProgressBar {
   public:
    void show(properties::Progress const& progress) {
        auto const now = std::chrono::steady_clock::now();
        if (!isTerminal_ || now - last_ < std::chrono::milliseconds(100))
            return;
        last_ = now;
        auto const filled = static_cast<std::size_t>(double(width) * progress.share);
        fmt::print(stderr, "\r[{:#<{}}{:.<{}}] {} cases", "", filled, "", width - filled,
                   progress.cases);
        std::fflush(stderr);
        isShown_ = true;
    }
    void clear() {
        if (isShown_)
            fmt::print(stderr, "\r\x1b[K");
        isShown_ = false;
    }

   private:
    static constexpr std::size_t width = 40;
    bool const isTerminal_ = isatty(STDERR_FILENO) != 0;
    bool isShown_ = false;
    std::chrono::steady_clock::time_point last_{};
};

/// A file for a report. It is opened before the check, so that a wrong path costs no run.
class ReportFile {
   public:
    explicit ReportFile(std::string path) : path_(std::move(path)) {
        if (path_.empty())
            return;
        stream_.open(path_, std::ios::binary);
        if (!stream_)
            throw BadArgument(path_ +
                              " cannot be written; expected a file in a directory that "
                              "exists");
    }
    void write(std::string const& text) {
        if (path_.empty())
            return;
        stream_ << text << std::flush;
        if (!stream_)
            throw BadArgument(path_ + " could not be written to its end");
    }

   private:
    std::string path_;
    std::ofstream stream_;
};

/// Whether two paths lead to one file, be it there already or not.
bool isSameFile(std::filesystem::path const& a, std::filesystem::path const& b) {
    std::error_code isMissing;
    if (std::filesystem::equivalent(a, b, isMissing))
        return true;
    auto const absolute = [](std::filesystem::path const& path) {
        std::error_code isUnreachable;
        auto const resolved = std::filesystem::weakly_canonical(
            std::filesystem::absolute(path, isUnreachable), isUnreachable);
        return isUnreachable ? path.lexically_normal() : resolved;
    };
    return absolute(a) == absolute(b);
}

/// Throws where a report would overwrite another file of the same command.
void requireOtherFile(std::string const& option, std::string const& path,
                      std::string const& other, std::filesystem::path const& otherPath) {
    if (!path.empty() && !otherPath.empty() && isSameFile(path, otherPath))
        throw BadArgument(fmt::format("{} {} would overwrite {}; expected another file", option,
                                      path, other));
}

std::string jsonText(OrderedJson const& json) {
    return json.dump(2, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

struct CheckArguments {
    std::string engine, law, json, junit, numerics;
    std::string save = "kvspec-out";
    std::optional<std::size_t> cases, budget, size, require;
    std::uint64_t seed = 1;
    Pairs pairs = Pairs::smallest;
    bool power = false;
};

/// Throws unless the law exists and an engine can be asked about it.
void requireLawOfEngines(std::string const& name) {
    auto const known = catalog();
    auto const* law = known.find(name);
    if (law == nullptr) {
        explain(known, name);  // throws, and names near misses
    } else if (law->scope == Scope::spec) {
        throw BadArgument(
            fmt::format("{} has scope spec, so no engine can be asked; expected a "
                        "law of scope engine (kvspec laws)",
                        name));
    }
}

properties::CheckOptions optionsOf(CheckArguments const& arguments) {
    properties::CheckOptions options;
    options.seed = arguments.seed;
    options.law = arguments.law;
    if (arguments.budget) {
        options.budget = std::chrono::seconds(*arguments.budget);
        options.cases = mostCases;  // the budget ends the run
    }
    if (arguments.cases)
        options.cases = *arguments.cases;
    if (arguments.size)
        options.maxSize = static_cast<int>(*arguments.size);
    for (auto const& bug : zooBugs())
        if (options.law.empty() || options.law == bug.theorem)
            options.zoo.push_back(candidateNamed(candidates(), "bugs/" + bug.name));
    return options;
}

/// Saves a violation, or says why not: a verdict matters more than its file.
std::optional<std::filesystem::path> trySave(CheckArguments const& arguments,
                                             std::string const& label,
                                             properties::Violation const& violation,
                                             properties::Setup const& setup) {
    try {
        return saveTrace(arguments.save, label, violation, setup);
    } catch (std::exception const& reason) {
        complain(fmt::format("the trace was not saved: {}", reason.what()));
        return std::nullopt;
    }
}

/// The check as it was asked for: with other options a seed draws other cases, or fewer.
std::string sameCheck(CheckArguments const& arguments) {
    auto command = fmt::format("kvspec check {} --seed {}", arguments.engine, arguments.seed);
    if (!arguments.numerics.empty())
        command += fmt::format(" --numerics {}", arguments.numerics);
    if (arguments.cases)
        command += fmt::format(" --cases {}", *arguments.cases);
    if (arguments.size)
        command += fmt::format(" --size {}", *arguments.size);
    if (arguments.budget)
        command += fmt::format(" --budget {}", *arguments.budget);
    if (!arguments.law.empty())
        command += " --law " + arguments.law;
    return command;
}

/// The command that shows a violation again, after its trace was saved.
std::string againOf(CheckArguments const& arguments, properties::CheckReport const& report) {
    auto const& violation = *report.violation;
    if (violation.trace.steps.empty())
        return fmt::format("kvspec check {} --law {}", report.engine, violation.law);
    auto const saved = trySave(arguments, violation.law, violation, report.setup);
    return saved ? replayCommand(*saved) : sameCheck(arguments);
}

/// RapidCheck announces a seed that it drew, on stderr and once; a check has its own seed.
void keepRapidCheckQuiet() {
    auto* const before = std::cerr.rdbuf(nullptr);
    static_cast<void>(rc::detail::configuration());
    std::cerr.rdbuf(before);
}

Exit runCheck(CheckArguments const& arguments) {
    keepRapidCheckQuiet();
    auto candidate = candidateNamed(candidates(), arguments.engine);
    if (!arguments.numerics.empty()) {
        auto const& preset = presetNamed(arguments.numerics);
        candidate.numerics = preset.numerics;
        StoredFormat query{};
        query.codec = preset.query;
        if (isConverted(query))
            candidate.queryFormats = {query};
    }
    if (!arguments.law.empty())
        requireLawOfEngines(arguments.law);
    requireOtherFile("--junit", arguments.junit, "the file of --json", arguments.json);
    ReportFile json(arguments.json), junit(arguments.junit);
    ProgressBar bar;
    auto options = optionsOf(arguments);
    options.onProgress = [&](properties::Progress const& progress) { bar.show(progress); };
    options.onFirstFailure = [&](properties::Violation const& first,
                                 properties::Setup const& setup) {
        bar.clear();
        auto const saved = trySave(arguments, "first", first, setup);
        say(fmt::format("first failure: {} after verb {} of {}{}; shrinking it\n", first.law,
                        first.step + 1, first.trace.steps.size(),
                        saved ? ", saved as " + saved->string() : ""));
    };
    CheckRun run;
    run.report = properties::check(candidate, options);
    bar.clear();
    run.verbs = properties::setupsFor(candidate).front().declaration.verbs;
    run.cases = options.cases;
    run.law = options.law;
    run.power = arguments.power;
    // One law alone has few bugs or none: only a person can say how many are enough.
    run.require = arguments.require.value_or(options.law.empty() ? 50 : 0);
    if (run.report.violation)
        run.again = againOf(arguments, run.report);
    say(printReport(run, arguments.pairs));
    json.write(jsonText(reportToJson(run)));
    junit.write(reportToJunit(run));
    return exitOf(run);
}

Exit runInfer(std::string const& engine, std::optional<std::size_t> setup,
              std::string const& jsonPath) {
    auto const& candidate = candidateNamed(candidates(), engine);
    ReportFile json(jsonPath);
    auto const all = inferAll(candidate, setup);
    say(print(all));
    json.write(jsonText(toJson(all)));
    return exitOf(all);
}

Exit runReplay(std::string const& path) {
    auto const file = readTrace(path);
    auto const* counterexample = std::get_if<CounterexampleFile>(&file);
    if (counterexample == nullptr)
        throw BadInput(Place{path},
                       "kind is \"recording\", which kvspec verify reads; expected "
                       "a counterexample");
    auto const result = replay(*counterexample, path, candidates());
    say(printReplay(result, *counterexample, path));
    return result.violation ? Exit::violated : Exit::held;
}

Exit runVerify(std::string const& path, std::string const& jsonPath) {
    auto const file = readTrace(path);
    auto const* recording = std::get_if<RecordingFile>(&file);
    if (recording == nullptr)
        throw BadInput(Place{path},
                       "kind is \"counterexample\", which kvspec replay reads; "
                       "expected a recording");
    auto const tensors = std::filesystem::path(path).parent_path() / recording->tensors;
    requireOtherFile("--json", jsonPath, "the recording", path);
    requireOtherFile("--json", jsonPath, "the recording's tensors", tensors);
    ReportFile json(jsonPath);
    auto const report = verify(*recording, SafeTensors::read(tensors));
    say(print(report));
    json.write(jsonText(toJson(report)));
    for (auto const& law : report.laws)
        if (law.outcome == VerifyOutcome::violated)
            return Exit::violated;
    return report.holds() && report.reachesEnough() ? Exit::held : Exit::tooLittle;
}

Exit runMeter(MeterOptions options, std::vector<std::string> const& typed,
              std::string const& jsonPath) {
    options.rules = readRules(shippedRulesText, "oracle/rules.json");
    for (auto const& text : typed)
        options.rules.push_back(typedRule(text));
    ReportFile json(jsonPath);
    auto const report = meter(options);
    say(print(report));
    json.write(jsonText(toJson(report)));
    return Exit::held;
}

Exit runMemory(MemoryQuery const& query, std::string const& jsonPath) {
    requireOtherFile("--json", jsonPath, "the trace", query.of);
    auto const all = memoryFor(query);
    ReportFile json(jsonPath);
    say(print(all));
    json.write(jsonText(toJson(all)));
    return Exit::held;
}

/// Everything a command line can ask for.
struct Arguments {
    bool isJson = false, isFull = false, isMap = false;
    std::string theorem, trace, json, preset, engine;
    std::optional<std::size_t> setup;
    std::vector<std::string> rules;
    CheckArguments check;
    MeterOptions meter;
    MemoryQuery memory;
    std::vector<std::pair<CLI::App*, std::function<Exit()>>> commands{};
};

void addLaws(CLI::App& app, Arguments& a) {
    auto* laws =
        app.add_subcommand("laws", "List the theorems, what proves them and what they kill");
    laws->add_flag("--json", a.isJson, "Print JSON, with every shape that was proved");
    laws->add_flag("--shapes", a.isFull, "Print every shape that was proved, one a line");
    laws->add_flag("--map", a.isMap, "Print how operations and variants of engines are written")
        ->excludes("--shapes");
    laws->footer("Examples:\n  kvspec laws --shapes\n  kvspec laws --map");
    a.commands.emplace_back(laws, [&a] {
        if (a.isMap)
            say(a.isJson ? jsonText(vocabularyToJson()) : printVocabulary());
        else if (a.isJson)
            say(jsonText(lawsToJson(catalog())));
        else
            say(printLaws(catalog(), a.isFull ? ShapeList::full : ShapeList::summed));
        return Exit::held;
    });
    auto* one = app.add_subcommand("explain", "Say what one theorem means and where it stands");
    one->add_option("THEOREM", a.theorem, "A name that kvspec laws lists")
        ->required()
        ->type_name("");
    one->footer("Example:\n  kvspec explain rollback_append");
    a.commands.emplace_back(one, [&a] {
        say(explain(catalog(), a.theorem));
        return Exit::held;
    });
}

/// Lets CLI11 take a whole number of a range, in decimal digits and nothing else. CLI11 itself
/// would read -1 as the largest number there is, and 010 as eight.
CLI::Validator within(std::uint64_t smallest, std::uint64_t largest) {
    return {[=](std::string& text) {
                std::uint64_t number = 0;
                auto const* const end = text.data() + text.size();
                auto const [at, error] = std::from_chars(text.data(), end, number);
                if (error != std::errc{} || at != end || number < smallest || number > largest)
                    return fmt::format("{} is not possible; expected a whole number from {} to {}",
                                       quote(text), smallest, largest);
                text = std::to_string(number);
                return std::string{};
            },
            ""};
}

void addCheck(CLI::App& app, Arguments& a) {
    auto& c = a.check;
    auto* check = app.add_subcommand("check", "Judge an engine by every law of scope engine");
    auto const add = [&](std::string const& name, auto& value, std::string const& unit,
                         std::string const& help) {
        return check->add_option(name, value, help)->type_name(unit);
    };
    add("ENGINE", c.engine, "", "contiguous, paged, or bugs/NAME for a bug of the zoo")->required();
    add("--cases", c.cases, "N", "Random traces to try (10000)")->transform(within(1, mostCases));
    add("--size", c.size, "SIZE", "RapidCheck's largest size: longer traces (100)")
        ->transform(within(0, mostCases - 1));
    add("--seed", c.seed, "N", "The same seed draws the same traces (1)")
        ->transform(within(0, std::numeric_limits<std::uint64_t>::max()));
    add("--law", c.law, "LAW", "Ask this law only; random traces only if it is trace_eq_spec");
    add("--budget", c.budget, "SECONDS", "After them no new trace begins")
        ->transform(within(1, mostSeconds));
    add("--numerics", c.numerics, "PRESET", "Declare this arithmetic for it (kvspec numerics)");
    add("--require", c.require, "PERCENT", "Of the zoo's bugs, to be in reach (50; with --law 0)")
        ->transform(within(0, 100));
    add("--save", c.save, "DIR", "Where traces of violations go (kvspec-out)");
    add("--json", c.json, "FILE", "Write the report there as JSON");
    add("--junit", c.junit, "FILE", "Write the report there as JUnit XML");
    check->add_flag_callback(
        "--pairs", [&c] { c.pairs = Pairs::all; },
        "Print how often each verb followed each other one");
    check->add_flag("--power", c.power,
                    "Print after how many of the cases each bug of the zoo would have shown");
    check->footer(
        "Examples:\n"
        "  kvspec check contiguous\n"
        "  kvspec check bugs/fork_aliases --save traces\n"
        "  kvspec check contiguous --budget 60 --seed 7 --junit report.xml\n"
        "  kvspec check contiguous --law rollback_append");
    a.commands.emplace_back(check, [&a] { return runCheck(a.check); });
}

void addInfer(CLI::App& app, Arguments& a) {
    auto* infer = app.add_subcommand("infer", "Propose an engine's declaration by asking it");
    infer->add_option("ENGINE", a.engine, "contiguous, paged, or bugs/NAME for a bug of the zoo")
        ->required()
        ->type_name("");
    infer
        ->add_option("--setup", a.setup, "Only this one of the shapes that a check tries (all)")
        ->type_name("N")
        ->transform(within(1, mostCases));
    infer->add_option("--json", a.json, "Write the proposal there as JSON")->type_name("FILE");
    infer->footer(
        "Exit codes: 0 what was inferred is what the engine declares, 1 some of it differs,\n"
        "            2 bad usage, 3 nothing could be inferred. None is evidence of conformance.\n"
        "Examples:\n"
        "  kvspec infer contiguous\n"
        "  kvspec infer bugs/mask_one_key_too_wide --setup 1 --json proposal.json");
    a.commands.emplace_back(infer, [&a] { return runInfer(a.engine, a.setup, a.json); });
}

void addTraces(CLI::App& app, Arguments& a) {
    auto* replayed = app.add_subcommand("replay", "Judge the trace that a check has saved");
    replayed->add_option("TRACE", a.trace, "A counterexample, as check saves it")
        ->required()
        ->type_name("");
    replayed->footer(
        "Example:\n"
        "  kvspec replay kvspec-out/bugs-fork_aliases-fork_isolated.trace");
    a.commands.emplace_back(replayed, [&a] { return runReplay(a.trace); });
    auto* verified =
        app.add_subcommand("verify", "Hold a recording of a real engine against the spec");
    verified->add_option("TRACE", a.trace, "A recording; its tensors lie beside it")
        ->required()
        ->type_name("");
    verified->add_option("--json", a.json, "Write the report there as JSON")->type_name("FILE");
    verified->footer("Example:\n  kvspec verify tests/data/smollm2.trace");
    a.commands.emplace_back(verified, [&a] { return runVerify(a.trace, a.json); });
}

void addNumerics(CLI::App& app, Arguments& a) {
    auto* numerics = app.add_subcommand("numerics", "List declarations of how engines compute");
    numerics->add_option("PRESET", a.preset, "Print this one, to put into a declaration")
        ->type_name("");
    numerics->footer("Example:\n  kvspec numerics torch.flash_cpu.bf16");
    a.commands.emplace_back(numerics, [&a] {
        say(a.preset.empty() ? printPresets() : printPreset(presetNamed(a.preset)));
        return Exit::held;
    });
}

void addMeter(CLI::App& app, Arguments& a) {
    auto* meter = app.add_subcommand("meter", "Measure what tolerances accept, and our own judge");
    // CLI11 gives an option of many values the rest of the line unless it is told not to.
    meter
        ->add_option("--rule", a.rules,
                     "One more: atol=A,rtol=R or nmse=X or match=SHARE,atol=A,rtol=R")
        ->type_name("RULE")
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    meter->add_option("--n", a.meter.lengths, "Lengths of the cache, as 16,256 (16,256,1024,4096)")
        ->type_name("LIST")
        ->delimiter(',')
        ->transform(within(shortestMetered, longestMetered));
    meter->add_option("--seed", a.meter.seed, "The same seed draws the same inputs (1)")
        ->type_name("N")
        ->transform(within(0, std::numeric_limits<std::uint64_t>::max()));
    meter->add_option("--json", a.json, "Write the report there as JSON")->type_name("FILE");
    meter->footer(
        "Examples:\n"
        "  kvspec meter\n"
        "  kvspec meter --n 16,1024 --rule atol=0.001,rtol=0.001 --rule nmse=0.0001");
    a.commands.emplace_back(meter, [&a] { return runMeter(a.meter, a.rules, a.json); });
}

void addMemory(CLI::App& app, Arguments& a) {
    auto& q = a.memory;
    auto* memory = app.add_subcommand("memory", "Count the bytes that a declared cache takes");
    auto const add = [&](std::string const& name, auto& value, std::string const& unit,
                         std::string const& help) {
        return memory->add_option(name, value, help)->type_name(unit);
    };
    auto const size = [&](std::string const& name, auto& value, std::string const& help,
                          std::uint64_t least = 1) {
        add(name, value, "N", help)->transform(within(least, properties::largestSize));
    };
    add("DECLARED", q.of, "", "An engine, a trace, or nothing: then sizes are options");
    add("--layers", q.layers, "N", "Layers")->transform(within(1, mostLayers));
    size("--kv-heads", q.kvHeads, "Kv heads of a layer");
    size("--head-dim", q.headDim, "Components of a key, and of a value unless --value-dim");
    size("--value-dim", q.valueDim, "Components of a value");
    add("--format", q.format, "CODEC", "In which keys, and values, are stored: f16, q8_0, ...");
    add("--values-format", q.valuesFormat, "CODEC", "The same of values, where it is another one");
    add("--codec-row", q.codecRow, "ROW", "What a codec takes for a row: head or token (head)");
    size("--retained", q.retained, "Rows that a ring keeps, sinks not counted (all)");
    size("--sinks", q.sinks, "First rows that stay beside the ring (0)", 0);
    size("--sequences", q.sequences, "Sequences (those declared; of plain sizes 1)");
    size("--length", q.length, "Rows of each sequence (the capacity declared)", 0);
    size("--block", q.blockRows, "Rows of a block, which counts whole (as in the pool, or 1)");
    size("--alignment", q.alignment, "Bytes; what a codec takes for a row begins there (1)");
    add("--json", a.json, "FILE", "Write the report there as JSON");
    memory->footer(
        "Examples:\n"
        "  kvspec memory contiguous\n"
        "  kvspec memory tests/data/smollm2.trace --length 2048\n"
        "  kvspec memory --layers 32 --kv-heads 32 --head-dim 128 --format f16 --length 4096");
    a.commands.emplace_back(memory, [&a] { return runMemory(a.memory, a.json); });
}

/// Without proofs/ the compiler has built the program and proved nothing.
std::string versionText() {
    bool const isProved =
        std::ranges::any_of(catalog().laws, [](auto const& law) { return !law.shapes.empty(); });
    return fmt::format("kvspec {}, built {}by {}", KVSPEC_VERSION, isProved ? "and proved " : "",
                       compiler);
}

/// Names what stands in the place of a subcommand and is none.
void requireSubcommand(CLI::App const& app, std::string const& word) {
    if (word.starts_with('-'))
        return;
    std::vector<std::string> names;
    for (auto const* command : app.get_subcommands(nullptr))
        names.push_back(command->get_name());
    if (std::ranges::find(names, word) != names.end())
        return;
    throw BadArgument(fmt::format(
        "{}; expected {}", word.empty() ? "a subcommand is missing" : quote(word) + " is none",
        oneOf({names.begin(), names.end()})));
}

/// Parses, runs the subcommand that was named, and turns what is thrown into a line and a code.
Exit run(int count, char const* const* words) {
    CLI::App app(
        "kvspec: the reference for the key/value cache of language models, and the judge "
        "of engines");
    app.require_subcommand(1);
    app.set_version_flag("--version", versionText());
    app.get_formatter()->column_width(28);
    app.footer(
        "Exit codes: 0 held, 1 violated, 2 bad input or usage, 3 could have shown too little\n"
        "Example:\n  kvspec check contiguous");
    Arguments arguments;
    addLaws(app, arguments);
    addInfer(app, arguments);
    addCheck(app, arguments);
    addTraces(app, arguments);
    addNumerics(app, arguments);
    addMeter(app, arguments);
    addMemory(app, arguments);
    try {
        // The first file that is opened would take the place of a closed stdout, and its contents.
        if (fcntl(STDOUT_FILENO, F_GETFD) == -1)
            throw BadArgument("the standard output is closed; expected one to write to");
        requireSubcommand(app, count > 1 ? words[1] : "");
        app.parse(count, words);
        for (auto const& [command, act] : arguments.commands)
            if (command->parsed())
                return act();
    } catch (CLI::Success const& asked) {
        std::ostringstream help, unused;
        app.exit(asked, help, unused);
        say(help.str());
        return Exit::held;
    } catch (CLI::ParseError const& error) {
        std::string asked;
        for (auto const* command : app.get_subcommands())
            asked += command->get_name() + " ";
        complain(fmt::format("{}; see kvspec {}--help", error.what(), asked));
    } catch (std::exception const& error) {
        complain(error.what());
    }
    return Exit::badInput;
}

/// An answer that nobody could read is none, so a failed write of stdout is bad input.
Exit checkedOutput(Exit exit) {
    bool const isLost = std::fflush(stdout) != 0 || std::ferror(stdout) != 0;
    if (!isLost || exit == Exit::badInput)
        return exit;
    complain("the standard output could not be written to its end; expected room for all of it");
    return Exit::badInput;
}

}  // namespace

}  // namespace kv::oracle

int main(int count, char** words) {
    return static_cast<int>(kv::oracle::checkedOutput(kv::oracle::run(count, words)));
}
