#include "libproto/config/tls_ciphers.h"

#include <cerrno>

namespace postcot::config {

Expected<std::string> cipher_list(const MainCf& main, std::string_view grade, const std::vector<std::string>& exclude) {
    std::string folded(grade);
    for (char& c : folded) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    std::string list;
    for (const char* known : {"high", "medium", "low", "export", "null"}) {
        if (folded == known) list = main.str("tls_" + folded + "_cipherlist");
    }
    if (list.empty()) return fail(EINVAL, "invalid cipher grade: \"" + std::string(grade) + '"');
    for (const auto& name : exclude) list += ":!" + name;
    return list;
}

Expected<std::string> cipher_list_of(const MainCf& main, const CipherParameters& names, bool mandatory,
                                     std::vector<std::string> exclude) {
    const std::string& name = mandatory ? names.mandatory_grade : names.grade;
    for (auto& word : main.list(names.exclude)) exclude.push_back(word);
    if (mandatory) {
        for (auto& word : main.list(names.mandatory_exclude)) exclude.push_back(word);
    }
    auto list = cipher_list(main, main.str(name), exclude);
    if (!list) return fail(EINVAL, name + ": " + list.error().text);
    return list;
}

}   // namespace postcot::config
