// doveadm user: who a user is on this host.
#include <cstdio>

#include "libproto/config/variables.h"
#include "libproto/ipc/auth_master.h"
#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

namespace {

constexpr Millis kPatience{60000};

Task<Expected<ipc::UserReply>> ask(std::string socket, ipc::UserLookup lookup) {
    Scope scope;
    ipc::AuthMaster master(scope, std::move(socket));
    auto reply = co_await master.user(std::move(lookup), kPatience);
    scope.cancel();
    co_await scope.join();
    co_return reply;
}

Task<Expected<std::vector<std::string>>> ask_list(std::string socket, std::string mask) {
    Scope scope;
    ipc::AuthMaster master(scope, std::move(socket));
    auto names = co_await master.list(std::move(mask), kPatience);
    scope.cancel();
    co_await scope.join();
    co_return names;
}

// The mail settings that a userdb may leave to dovecot.conf.
std::string or_setting(const config::DovecotConf& conf, std::string value, const char* setting) {
    return value.empty() ? conf.str(setting) : value;
}

Expected<std::string> expand(const config::DovecotConf& conf, const ipc::UserReply& reply, const std::string& text);

void print_record(const config::DovecotConf& conf, const ipc::UserReply& reply) {
    auto mail = or_setting(conf, reply.mail, "mail_location");
    auto expanded = expand(conf, reply, mail);
    if (expanded) mail = *expanded;
    std::printf("uid\t%s\n", or_setting(conf, reply.fields.get("uid"), "mail_uid").c_str());
    std::printf("gid\t%s\n", or_setting(conf, reply.fields.get("gid"), "mail_gid").c_str());
    std::printf("home\t%s\n", or_setting(conf, reply.home, "mail_home").c_str());
    std::printf("mail\t%s\n", mail.c_str());
    for (const auto& field : reply.fields.all()) {
        if (field.name == "uid" || field.name == "gid" || field.name == "home" || field.name == "mail") continue;
        std::printf("%s\t%s\n", field.name.c_str(), field.value.value_or("").c_str());
    }
}

Expected<std::string> expand(const config::DovecotConf& conf, const ipc::UserReply& reply, const std::string& text) {
    return config::expand_variables(text, [&](std::string_view name) -> std::optional<std::string> {
        if (name == "user") return reply.user;
        if (name == "home") return or_setting(conf, reply.home, "mail_home");
        if (name == "uid") return or_setting(conf, reply.fields.get("uid"), "mail_uid");
        if (name == "gid") return or_setting(conf, reply.fields.get("gid"), "mail_gid");
        if (name == "service") return "doveadm";
        if (name.substr(0, 7) == "userdb:") return reply.fields.get(name.substr(7));
        return std::nullopt;
    });
}

int look_up(Context& context, const Options& options, const std::string& path, const std::string& name, Loop& loop) {
    const auto& conf = context.need_conf();
    ipc::UserLookup lookup;
    lookup.user = name;
    for (const auto& text : options.values('x')) {
        auto equals = text.find('=');
        std::string key = text.substr(0, equals), value = equals == std::string::npos ? "" : text.substr(equals + 1);
        if (key == "service")
            lookup.service = value;
        else
            lookup.extra.add(key, value);
    }
    bool plain = !options.has('f') && !options.has('e') && !options.has('u');
    auto reply = loop.run_until_complete(ask(path, std::move(lookup)));
    if (!reply) {
        error("auth-master: userdb lookup(" + name + "): " + reply.error().text);
        return EX_TEMPFAIL;
    }
    if (reply->kind == ipc::UserReply::Kind::kNotFound) {
        std::fprintf(stderr, "\nuserdb lookup: user %s doesn't exist\n", name.c_str());
        return EX_NOUSER;
    }
    if (reply->kind == ipc::UserReply::Kind::kFail) {
        error("userdb lookup failed for " + name + (reply->reason.empty() ? "" : ": " + reply->reason));
        return EX_TEMPFAIL;
    }
    if (plain) {
        print_record(conf, *reply);
    } else if (options.has('u')) {
        std::printf("userdb: %s\n  %-10s: %s\n", name.c_str(), "user", reply->user.c_str());
        for (const auto& field : reply->fields.all())
            std::printf("  %-10s: %s\n", field.name.c_str(), field.value.value_or("").c_str());
    } else if (options.has('f')) {
        std::string field = options.value('f'), value = reply->fields.get(field);
        if (field == "uid" || field == "gid" || field == "home")
            value = or_setting(conf, value, ("mail_" + field).c_str());
        if (field == "mail") value = or_setting(conf, value, "mail_location");
        if (!value.empty()) std::printf("%s\n", value.c_str());
    } else {
        auto text = expand(conf, *reply, options.value('e'));
        if (!text) {
            error(text.error().text);
            return EX_USAGE;
        }
        std::printf("%s\n", text->c_str());
    }
    return 0;
}

}   // namespace

int user(Context& context, const Arguments& arguments) {
    const char* usage =
        "user [-a <userdb socket path>] [-x <auth info>] [-f field] [-e <value>] [-u] <user mask> [<user mask> [...]]";
    Options options;
    if (!parse_options(arguments, "u", "axfe", usage, options)) return EX_USAGE;
    if (options.rest.empty()) {
        std::fprintf(stderr, "usage: doveadm %s\n", usage);
        return EX_USAGE;
    }
    std::string path =
        context.socket(options.has('a') ? options.value('a') : context.need_conf().str("auth_socket_path"));
    int status = 0;
    bool titled = false;
    Loop loop;
    for (const auto& name : options.rest) {
        if (name.find_first_of("*?") != std::string::npos) {
            auto names = loop.run_until_complete(ask_list(path, name));
            if (!names) {
                error("auth-master: userdb list: " + names.error().text);
                status = EX_TEMPFAIL;
                continue;
            }
            for (const auto& one : *names) std::printf("%s\n", one.c_str());
            continue;
        }
        if (!titled && !options.has('f') && !options.has('e') && !options.has('u')) std::printf("field\tvalue\n");
        titled = true;
        std::fflush(stdout);
        if (int failed = look_up(context, options, path, name, loop)) status = failed;
    }
    return status;
}

}   // namespace postcot::doveadm
