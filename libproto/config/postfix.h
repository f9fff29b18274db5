// main.cf and master.cf (postconf(5), master(5)). Parsing and expansion are pure; load() is the only part that reads files.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "libproto/error.h"

namespace postcot::config {

class MasterCf;

// Logical lines of main.cf over the parameter table's defaults. Values are expanded on access ($name, ${name}, ${name?a:b}, ${name:b},
// ${{a} == {b} ? {x} : {y}}). A copy is cheap (shared state).
class MainCf {
  public:
    // Reads <dir>/main.cf. Errors name file and line: "main.cf, line 12: missing '=' after attribute name: ...". Also checks every set value against its
    // parameter's type, so that the typed getters below cannot fail on known names.
    static Expected<MainCf> load(const std::string& directory);
    static Expected<MainCf> parse(std::string_view text, const std::string& file_name);
    // For tools that must show a configuration that daemons would refuse: values are not checked, and myorigin is not read from the file it may name.
    static Expected<MainCf> load_unchecked(const std::string& directory);
    Expected<void> check() const;

    // The same with "-o name=value" on top (master.cf).
    Expected<MainCf> with_overrides(const std::vector<std::pair<std::string, std::string>>& overrides) const;

    // Expanded value of a known parameter or of a user-defined one; empty when neither set nor known.
    std::string str(std::string_view name) const;
    // As written, or the default, not expanded. str() gives the same for the few parameters that Postfix expands only when they are used, with names of
    // that moment (forward_path, luser_relay, mailbox_command, default_rbl_reply, smtpd_reject_footer ...).
    std::string raw(std::string_view name) const;
    std::vector<std::string> list(
        std::string_view name) const;   // split at comma and white space, {} groups kept whole
    bool boolean(std::string_view name) const;
    int64_t integer(std::string_view name) const;
    std::chrono::seconds time(std::string_view name) const;
    // Set in main.cf or by an override.
    bool is_set(std::string_view name) const;
    // <transport>_<suffix> (e.g. smtp_destination_concurrency_limit) with its default $default_<suffix>.
    std::string transport_str(std::string_view transport, std::string_view suffix) const;
    int64_t transport_integer(std::string_view transport, std::string_view suffix) const;
    std::chrono::seconds transport_time(std::string_view transport, std::string_view suffix) const;

    // Expands $name in any text against this configuration.
    std::string expand(std::string_view text) const;   // empty when the text is wrong
    Expected<std::string> try_expand(std::string_view text) const;
    const std::string& directory() const;   // config_directory

    // One line per set parameter that is unknown or unsupported, naming file and line: logged at start, printed by `postcot check`.
    // `master` tells which user-defined parameters its services use; its own -o settings are looked at too.
    std::vector<std::string> warnings(const MasterCf* master = nullptr) const;

    // An error whose text begins with a parameter's name ("virtual_alias_maps: ...", also behind "service x: "), with the file and line that set it in front.
    Error located(Error error) const;

    struct Set {
        std::string name;
        std::string value;   // not expanded
        int line;            // 0: an override
    };
    std::vector<Set> set_parameters() const;   // by name
    // Names that known parameters, restriction classes or `master`'s services refer to.
    std::set<std::string, std::less<>> used_names(const MasterCf* master) const;

  private:
    static Expected<MainCf> parse_in(std::string_view text, const std::string& file_name, const std::string& directory);
    struct State;
    std::shared_ptr<const State> state_;
};

struct MasterService {
    std::string name;   // "smtp", "127.0.0.1:2025", "submission", "private/..."
    std::string type;   // inet, unix, fifo, pass, unix-dgram
    bool is_private = true;
    bool unprivileged = true;
    bool chroot = false;
    int wakeup_seconds = 0;
    bool wakeup_if_used = false;          // '?'
    int max_processes = 0;                // 0: unlimited ('-' means default_process_limit, already filled in)
    std::string command;                  // "smtpd", "lmtp", "pipe"
    std::vector<std::string> arguments;   // without the -o pairs
    std::vector<std::pair<std::string, std::string>> overrides;   // -o name=value, -o { name = value }
    int line = 0;

    // inet: host part ("" for any) and port ("2025", "smtp") of `name`.
    std::pair<std::string, std::string> host_port() const;
};

class MasterCf {
  public:
    static Expected<MasterCf> load(const std::string& directory, const MainCf& main);
    static Expected<MasterCf> parse(std::string_view text, const std::string& file_name, const MainCf& main);
    const std::vector<MasterService>& services() const { return services_; }
    const MasterService* find(std::string_view name, std::string_view type) const;
    const std::string& file() const { return file_; }
    const std::vector<std::string>& remarks() const { return remarks_; }   // duplicate services: the last one counts

  private:
    std::string file_;
    std::vector<std::string> remarks_;
    std::vector<MasterService> services_;
};

// main.cf as one of Postfix's own daemons sees it: with the -o settings of its line, the unix or fifo service `name` of program `command` (a name of "":
// the first with that command). nullopt: there is none.
Expected<std::optional<MainCf>> main_of(const MainCf& main, const MasterCf& master, std::string_view name,
                                        std::string_view command);

// Postfix's number grammars. Times: 5s 3m 1h 2d 1w, default unit given. Errors say what was expected.
Expected<std::chrono::seconds> parse_time(std::string_view text, char default_unit = 's');

}   // namespace postcot::config
