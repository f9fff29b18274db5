#include "authd/settings.h"

#include <algorithm>
#include <cstdlib>

#include "libproto/config/dovecot.h"
#include "libproto/config/parameter.h"

namespace postcot::authd {

namespace {

std::vector<std::string> words(std::string_view text) {
    std::vector<std::string> out;
    size_t i = 0;
    while (i < text.size()) {
        while (i < text.size() && (text[i] == ' ' || text[i] == '\t' || text[i] == ',')) ++i;
        size_t start = i;
        while (i < text.size() && text[i] != ' ' && text[i] != '\t' && text[i] != ',') ++i;
        if (i > start) out.emplace_back(text.substr(start, i - start));
    }
    return out;
}

std::vector<std::string> upper_words(std::string_view text) {
    auto out = words(text);
    for (auto& word : out) {
        std::transform(word.begin(), word.end(), word.begin(),
                       [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    }
    return out;
}

Expected<Database::Rule> rule(const std::string& text, const std::string& key, const std::string& where) {
    using Rule = Database::Rule;
    if (text == "return") return Rule::kReturn;
    if (text == "return-ok") return Rule::kReturnOk;
    if (text == "return-fail") return Rule::kReturnFail;
    if (text == "continue") return Rule::kContinue;
    if (text == "continue-ok") return Rule::kContinueOk;
    if (text == "continue-fail") return Rule::kContinueFail;
    return fail(0, where + ": " + key +
                       ": expected return, return-ok, return-fail, continue, continue-ok or continue-fail, not '" +
                       text + "'");
}

Expected<Database> database(const config::DovecotSection& section, bool passdb) {
    Database db;
    db.where = section.file + ":" + std::to_string(section.line);
    db.driver = section.str("driver");
    db.args = section.str("args");
    if (db.driver.empty()) return fail(0, db.where + ": " + section.type + " is missing driver");
    db.default_fields = parse_fields(section.str("default_fields"));
    db.override_fields = parse_fields(section.str("override_fields"));
    auto success = rule(section.str("result_success"), "result_success", db.where);
    auto failure = rule(section.str("result_failure"), "result_failure", db.where);
    auto internal = rule(section.str("result_internalfail"), "result_internalfail", db.where);
    for (auto* one : {&success, &failure, &internal}) {
        if (!*one) return fail(one->error());
    }
    db.on_success = *success;
    db.on_failure = *failure;
    db.on_internal_failure = *internal;
    std::string skip = section.str("skip");
    if (passdb) {
        if (skip == "authenticated")
            db.skip = Database::Skip::kAuthenticated;
        else if (skip == "unauthenticated")
            db.skip = Database::Skip::kUnauthenticated;
        else if (skip != "never")
            return fail(0, db.where + ": skip: expected never, authenticated or unauthenticated, not '" + skip + "'");
        if (section.boolean("pass")) return fail(0, db.where + ": passdb { pass = yes } is not supported");
        db.deny = section.boolean("deny");
        db.mechanisms = upper_words(section.str("mechanisms"));
        db.username_filter = words(section.str("username_filter"));
    } else {
        if (skip == "found")
            db.skip = Database::Skip::kAuthenticated;
        else if (skip == "notfound")
            db.skip = Database::Skip::kUnauthenticated;
        else if (skip != "never")
            return fail(0, db.where + ": skip: expected never, found or notfound, not '" + skip + "'");
    }
    std::string verbose = section.str("auth_verbose");
    if (verbose == "yes" || verbose == "no")
        db.verbose = verbose == "yes";
    else if (!verbose.empty() && verbose != "default")
        return fail(0, db.where + ": auth_verbose: expected yes, no or default, not '" + verbose + "'");
    return db;
}

Expected<int> octal(const std::string& text, const std::string& where) {
    int value = 0;
    for (char c : text) {
        if (c < '0' || c > '7' || value > 0777)
            return fail(0, where + ": mode: expected an octal number, not '" + text + "'");
        value = value * 8 + (c - '0');
    }
    return value;
}

// Dovecot tells the kind by the last word of the socket's name: auth-userdb, auth-master, login/login; anything else is for clients.
std::optional<SocketSettings::Kind> kind_of(const std::string& path) {
    std::string name = path.substr(path.rfind('/') + 1);
    if (auto dash = name.rfind('-'); dash != std::string::npos) name.erase(0, dash + 1);
    if (name == "userdb") return SocketSettings::Kind::kUserdb;
    if (name == "master") return SocketSettings::Kind::kMaster;
    if (name == "login") return SocketSettings::Kind::kLogin;
    if (name == "tokenlogin" || name == "token" || name == "worker")
        return std::nullopt;   // Dovecot's own parts among each other
    return SocketSettings::Kind::kClient;
}

Expected<void> username_rules(const config::DovecotConf& conf, Settings& settings) {
    std::string chars = conf.str("auth_username_chars");
    if (chars.empty()) settings.username_chars.set();
    for (char c : chars) settings.username_chars.set(static_cast<unsigned char>(c));
    std::string pairs = conf.str("auth_username_translation");
    if (pairs.size() % 2 != 0) return fail(0, "auth_username_translation: expected pairs of characters");
    for (size_t i = 0; i < pairs.size(); i += 2)
        settings.username_translation[static_cast<unsigned char>(pairs[i])] = pairs[i + 1];
    settings.username_format = conf.str("auth_username_format");
    settings.default_realm = conf.str("auth_default_realm");
    settings.realms = words(conf.str("auth_realms"));
    settings.anonymous_username = conf.str("auth_anonymous_username");
    return {};
}

Expected<void> verbose_passwords(const std::string& text, Settings& settings) {
    auto colon = text.find(':');
    std::string how = text.substr(0, colon);
    if (colon != std::string::npos)
        settings.show_password_length = static_cast<size_t>(std::strtoul(text.c_str() + colon + 1, nullptr, 10));
    if (how == "no")
        settings.show_password = Settings::ShowPassword::kNo;
    else if (how == "plain" || how == "yes")
        settings.show_password = Settings::ShowPassword::kPlain;
    else if (how == "sha1")
        settings.show_password = Settings::ShowPassword::kSha1;
    else
        return fail(0, "auth_verbose_passwords: expected no, plain or sha1, not '" + text + "'");
    return {};
}

// Those that Dovecot has and that are not here were warned of (DovecotConf::warnings); a word that nobody has is an error, and so is nothing to log in with.
Expected<void> mechanisms(const config::DovecotConf& conf, Settings& settings) {
    std::string where = conf.where("auth_mechanisms") + ": auth_mechanisms: ";
    auto listed = words(conf.str("auth_mechanisms"));
    if (listed.empty()) return fail(0, where + "no mechanism is listed");
    std::string kept;
    for (const auto& word : listed) {
        if (config::is_one_of(word, config::kServedMechanisms)) {
            kept += word + ' ';
        } else if (!config::is_one_of(word, config::kDovecotMechanisms)) {
            return fail(0, where + "Unknown authentication mechanism '" + upper_words(word).at(0) + "'");
        }
    }
    if (kept.empty()) return fail(0, where + "none of them is supported: nobody could log in");
    settings.mechanisms = upper_words(kept);
    return {};
}

Expected<void> sockets(const config::DovecotConf& conf, Settings& settings) {
    for (const auto* listener : conf.listeners("auth", "unix_listener")) {
        SocketSettings socket;
        std::string where = listener->file + ":" + std::to_string(listener->line);
        auto mode = octal(listener->str("mode"), where);
        if (!mode) return fail(mode.error());
        if (*mode == 0) continue;   // Dovecot: mode 0 switches a built-in listener off
        socket.path = listener->name;
        if (auto path = listener->str("path"); !path.empty()) socket.path = path;   // 2.4
        if (socket.path.empty() || socket.path[0] != '/') socket.path = settings.base_dir + "/" + socket.path;
        auto kind = kind_of(socket.path);
        std::string type = listener->str("type");   // 2.4
        if (type == "userdb") kind = SocketSettings::Kind::kUserdb;
        if (type == "master") kind = SocketSettings::Kind::kMaster;
        if (type == "login") kind = SocketSettings::Kind::kLogin;
        if (!kind) continue;
        socket.kind = *kind;
        socket.mode = *mode;
        auto account = [&](const std::string& name) {
            if (name == "$default_internal_user") return settings.internal_user;
            if (name == "$default_login_user") return settings.login_user;
            return name;
        };
        socket.user = account(listener->str("user"));
        socket.group = account(listener->str("group"));
        settings.sockets.push_back(std::move(socket));
    }
    return {};
}

}   // namespace

std::vector<FieldTemplate> parse_fields(std::string_view text) {
    std::vector<FieldTemplate> out;
    size_t i = 0;
    while (i < text.size()) {
        while (i < text.size() && (text[i] == ' ' || text[i] == '\t')) ++i;
        size_t start = i;
        while (i < text.size() && text[i] != ' ' && text[i] != '\t') ++i;
        if (i == start) break;
        std::string_view word = text.substr(start, i - start);
        auto equals = word.find('=');
        if (equals == std::string_view::npos)
            out.push_back({std::string(word), std::nullopt});
        else
            out.push_back({std::string(word.substr(0, equals)), std::string(word.substr(equals + 1))});
    }
    return out;
}

bool Settings::uses_root_workers() const {
    return std::any_of(passdbs.begin(), passdbs.end(),
                       [](const Database& db) { return db.driver == "pam" || db.driver == "shadow"; });
}

bool Settings::uses_name_service() const {
    auto passwd = [](const Database& db) { return db.driver == "passwd"; };
    return std::any_of(passdbs.begin(), passdbs.end(), passwd) || std::any_of(userdbs.begin(), userdbs.end(), passwd);
}

Expected<Settings> load_settings(const config::DovecotConf& conf) {
    Settings settings;
    settings.base_dir = conf.str("base_dir");
    settings.internal_user = conf.str("default_internal_user");
    settings.login_user = conf.str("default_login_user");
    if (const auto* service = conf.section("service", "auth")) {
        settings.service_user = service->str("user");
        if (auto limit = service->integer("client_limit"); limit > 0)
            settings.client_limit = static_cast<unsigned>(limit);
        else
            settings.client_limit = static_cast<unsigned>(std::max<int64_t>(1, conf.integer("default_client_limit")));
    }
    if (settings.service_user.empty() || settings.service_user == "$default_internal_user")
        settings.service_user = settings.internal_user;
    settings.failure_delay = conf.time("auth_failure_delay");
    settings.verbose = conf.boolean("auth_verbose");
    settings.debug = conf.boolean("auth_debug");
    if (settings.debug) settings.verbose = true;
    settings.worker_limit = static_cast<unsigned>(std::clamp<int64_t>(conf.integer("auth_worker_max_count"), 1, 1000));
    if (conf.size("auth_cache_size") > 0)
        settings.warnings.push_back("auth_cache_size is ignored: there is no cache yet, every login is checked");
    settings.first_valid_uid =
        static_cast<uint32_t>(std::clamp<int64_t>(conf.integer("first_valid_uid"), 0, UINT32_MAX));
    settings.last_valid_uid = static_cast<uint32_t>(std::clamp<int64_t>(conf.integer("last_valid_uid"), 0, UINT32_MAX));
    if (auto known = mechanisms(conf, settings); !known) return fail(known.error());
    for (auto checked :
         {username_rules(conf, settings), verbose_passwords(conf.str("auth_verbose_passwords"), settings)}) {
        if (!checked) return fail(checked.error());
    }
    for (const auto* section : conf.sections("passdb")) {
        if (section->boolean("master")) continue;   // whom it would let in as somebody else is not let in
        auto db = database(*section, true);
        if (!db) return fail(db.error());
        settings.passdbs.push_back(std::move(*db));
    }
    for (const auto* section : conf.sections("userdb")) {
        auto db = database(*section, false);
        if (!db) return fail(db.error());
        settings.userdbs.push_back(std::move(*db));
    }
    if (settings.passdbs.empty())
        return fail(0, "No passdbs specified in configuration file. PLAIN mechanism needs one");
    auto listening = sockets(conf, settings);
    if (!listening) return fail(listening.error());
    return settings;
}

}   // namespace postcot::authd
