#include "oracle/presets.hpp"

#include "oracle/catalog.hpp"
#include "oracle/json.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace kv::oracle {

std::vector<std::string_view> presetNames() {
    std::vector<std::string_view> names;
    for (auto const& preset : everyPreset)
        names.push_back(preset.name);
    return names;
}

Preset const& presetNamed(std::string const& name) {
    if (auto const* preset = presetOf(name))
        return *preset;
    throw BadArgument(
        fmt::format("{} is no preset; expected {}", quote(name), oneOf(presetNames())));
}

std::string printPresets() {
    std::size_t width = 0;
    for (auto const& preset : everyPreset)
        width = std::max(width, preset.name.size());
    std::string text = "Arithmetic of paths that real engines take (kvspec numerics NAME)\n\n";
    for (auto const& preset : everyPreset)
        text += fmt::format("  {:<{}}  level {}  {}\n  {:<{}}           {}\n", preset.name, width,
                            preset.level, preset.says, "", width, preset.upstream);
    return text;
}

std::string printPreset(Preset const& preset) {
    auto const query = preset.query == StoredAs::f32
                           ? ""
                           : fmt::format("\"queryFormat\": {}, in each layer\n",
                                         write(preset.query).dump());
    return fmt::format("{}, level {}: {}\n{}\n\n{}\"numerics\": {}\n", preset.name, preset.level,
                       preset.says, preset.upstream, query, write(preset.numerics).dump(2));
}

}  // namespace kv::oracle
