// dovecot.conf text -> the tree of sections. Internal to config/: callers use DovecotConf.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/dovecot.h"

namespace postcot::config {

class DovecotParser {
  public:
    // `follow_includes`: false keeps the parser off the disk (an !include is then an error).
    // `expand_all`: false expands $name only where a setting extends itself (mail_plugins = $mail_plugins x), as doveconf shows it.
    explicit DovecotParser(bool follow_includes, bool expand_all = true);

    Expected<void> parse(std::string_view text, const std::string& file_name);
    // Checks that every section was closed, brings 2.4's names to 2.3's, and gives the tree away.
    Expected<std::unique_ptr<DovecotSection>> finish();
    std::vector<std::string> remarks() const { return remarks_; }

  private:
    Expected<void> parse_text(std::string_view text, const std::string& file_name, int depth);
    Expected<void> include(const std::string& pattern, const std::string& from, bool must_exist, int depth);
    Expected<void> open(const std::string& type, const std::string& name, const std::string& file, int line);
    Expected<void> set(const std::string& key, DovecotSection::Setting setting, bool literal);
    std::string substitute(const std::string& key, const std::string& value) const;
    const std::string* current_value(std::string_view key, std::string& storage) const;

    bool follow_includes_;
    bool expand_all_;
    bool built_in_ = false;
    int files_ = 0;
    std::unique_ptr<DovecotSection> root_;
    std::vector<DovecotSection*> stack_;   // open sections, root_ first
    std::vector<std::string> remarks_;
};

// dovecot_names24.cc: what a 2.4 name means in 2.3's terms.
// Translates one setting in place; false when `key` is no 2.4 spelling. Settings that only make sense together
// (mail_driver, mail_path) are kept under their own names until fold_2_4_names().
bool translate_2_4_setting(std::string_view section, std::string& key, std::string& value, bool& from_file);
bool known_2_4_setting(std::string_view section, std::string_view key);
void fold_2_4_names(DovecotSection& root);
// "%{user | username | lower}" -> "%Ln"
std::string translate_2_4_variables(std::string_view text);

}   // namespace postcot::config
