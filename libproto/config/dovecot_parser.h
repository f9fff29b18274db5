// dovecot.conf text -> the tree of sections. Internal to config/: callers use DovecotConf.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/dovecot.h"
#include "libproto/config/dovecot_lexer.h"

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
    Expected<void> apply(DovecotLine line, const std::string& file_name, int number, int depth);
    Expected<void> set(const std::string& key, DovecotSection::Setting setting, bool literal);
    Expected<void> place(DovecotSection& section, std::string& key, DovecotSection::Setting& setting);
    void refused_by_2_4(std::string_view where, const std::string& key, const DovecotSection::Setting& setting);
    void refuse_section_for_2_4(const std::string& type, const std::string& name, const std::string& file, int line);

    // dovecot_groups.cc
    bool record_group(const DovecotLine& line, const std::string& file, int number);
    Expected<void> use_group(const std::string& label, const std::string& name, const std::string& file, int line);
    Expected<void> apply_groups();

    // "Error in configuration file F line N: "
    static std::string at(const std::string& file, int line);
    std::string substitute(const std::string& key, const std::string& value) const;
    const std::string* current_value(std::string_view key, std::string& storage) const;

    bool follow_includes_;
    bool expand_all_;
    static constexpr size_t kMaxValue = size_t{1} << 20;
    struct Group {
        struct Line {
            DovecotLine read;
            std::string file;
            int number;
        };
        std::string label;   // "@mailboxes english"
        std::vector<Line> lines;
    };
    struct GroupUse {
        std::string label;
        std::vector<DovecotSection*> where;
        std::string file;
        int line;
    };
    bool built_in_ = false;
    bool is_2_4_ = false;      // dovecot_config_version said so
    bool replaying_ = false;   // a group's lines: what the file itself says comes first
    std::vector<Group> groups_;
    std::optional<Group> recording_;
    int recording_depth_ = 0;
    std::vector<GroupUse> group_uses_;
    int files_ = 0;
    std::unique_ptr<DovecotSection> root_;
    std::vector<DovecotSection*> stack_;   // open sections, root_ first
    std::vector<std::string> remarks_;
};

bool is_dovecot_filter(std::string_view type);       // protocol, local, remote, local_name
bool is_dovecot_2_4_prefix(std::string_view type);   // ssl_server { cert_file }: the type is the name's beginning
std::string_view dovecot_table_section(std::string_view type);   // filters hold what the top level holds
bool holds_any_key(const DovecotSection& section);               // plugin { }, lists, and what nothing looks into

// dovecot_names24.cc: what a 2.4 name means in 2.3's terms.
// Translates one setting in place; false when `key` is no 2.4 spelling. Settings that only make sense together
// (mail_driver, mail_path) are kept under their own names until fold_2_4_names().
bool translate_2_4_setting(std::string_view section, std::string& key, std::string& value, bool& from_file);
bool known_2_4_setting(std::string_view section, std::string_view key);
// 2.4's name for one of 2.3's that it does not take any more; empty when there is none.
std::string_view dovecot_2_4_spelling(std::string_view section, std::string_view old_name);
void fold_2_4_names(DovecotSection& root);
// "%{user | username | lower}" -> "%Ln"
std::string translate_2_4_variables(std::string_view text);

}   // namespace postcot::config
