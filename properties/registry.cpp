#include "registry.hpp"

namespace kv::properties {

std::vector<RegisteredLaw> registry() {
    std::vector<RegisteredLaw> all;
    forEachLaw([&](std::string_view stem, auto const& law) {
        RegisteredLaw entry{.stem = std::string(stem),
                            .name = std::string(law.name),
                            .sentence = std::string(law.sentence),
                            .scope = decltype(law.scope)::value,
                            .modulo = std::string(law.grade.modulo),
                            .owed = law.owed,
                            .shapes = {}};
        for (ProvedShape const& shape : provedShapes())
            if (shape.law == law.name)
                entry.shapes.push_back(shape);
        all.push_back(std::move(entry));
    });
    return all;
}

}  // namespace kv::properties
