// presets: print the declarations that stand ready, and find one by its name.
//
// Nobody should have to write twenty fields to try an engine. `kvspec numerics` lists the paths of
// real engines that spec/presets.hpp describes; one of them by name is the record to put into a
// declaration, which may also hold just the name.
#pragma once
#include "spec/presets.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace kv::oracle {

/// In their order.
std::vector<std::string_view> presetNames();
/// Throws BadArgument, with all names, where there is none of that name.
Preset const& presetNamed(std::string const& name);

/// One line each: name, level, what it says, and the file that justifies it.
std::string printPresets();
/// The file, what it shows, and the record as JSON.
std::string printPreset(Preset const& preset);

}  // namespace kv::oracle
