// What the commands of doveadm share.
#pragma once

#include <sysexits.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "libproto/config/dovecot.h"

namespace postcot::doveadm {

enum class Format { kDefault, kFlow, kPager, kTab, kTable };

struct Context {
    std::string config_file;   // -c FILE
    Format format = Format::kDefault;
    bool verbose = false;
    std::optional<config::DovecotConf> conf;   // read by commands that need it: see need_conf()

    // Exits with 89 (Dovecot's FATAL_CONFIG... of a broken file) after saying why.
    const config::DovecotConf& need_conf();
    // `path` itself if absolute, else under base_dir.
    std::string socket(std::string_view path);
};

using Arguments = std::vector<std::string>;   // those after the command's name

// Each returns the exit status. EX_USAGE for wrong arguments, EX_TEMPFAIL when a daemon does not answer.
int auth_test(Context& context, const Arguments& arguments);
int auth_login(Context& context, const Arguments& arguments);
int auth_lookup(Context& context, const Arguments& arguments);
int auth_cache_flush(Context& context, const Arguments& arguments);
int user(Context& context, const Arguments& arguments);
int who(Context& context, const Arguments& arguments);
int log_errors(Context& context, const Arguments& arguments);
int log_find(Context& context, const Arguments& arguments);
int pw(Context& context, const Arguments& arguments);
// Run the sibling programs dovecot and doveconf.
int reload(Context& context, const Arguments& arguments);
int stop(Context& context, const Arguments& arguments);
int show_config(Context& context, const Arguments& arguments);

// Small getopt: "-x value" (letters in `with_value`) and flags, "--" ends them. On error says the usage line and gives false.
struct Options {
    std::vector<std::pair<char, std::string>> given;
    Arguments rest;
    bool has(char letter) const;
    std::string value(char letter) const;   // the last
    std::vector<std::string> values(char letter) const;
};
bool parse_options(const Arguments& arguments, std::string_view flags, std::string_view with_value,
                   std::string_view usage, Options& out);

void error(std::string_view text);   // "Error: text" on stderr
// Reads a line from the terminal without echo. nullopt at end of input.
std::optional<std::string> ask_password(const char* prompt);

// Columns of a table, in the format asked for.
struct Column {
    std::string title;
    bool right = false;
};
void print_table(Format format, const std::vector<Column>& columns, const std::vector<std::vector<std::string>>& rows);

}   // namespace postcot::doveadm
