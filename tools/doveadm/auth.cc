// doveadm auth test, login, lookup, cache flush.
#include <cstdio>

#include "libproto/ipc/auth_client.h"
#include "libproto/ipc/auth_master.h"
#include "tools/doveadm/doveadm.h"

namespace postcot::doveadm {

namespace {

constexpr Millis kPatience{60000};

sasl::Fields auth_info(const Options& options) {
    sasl::Fields fields;
    for (const auto& text : options.values('x')) {
        auto equals = text.find('=');
        if (equals == std::string::npos)
            fields.add(text);
        else
            fields.add(text.substr(0, equals), text.substr(equals + 1));
    }
    return fields;
}

ipc::AuthRequest plain_request(const Options& options, const std::string& user, const std::string& password) {
    ipc::AuthRequest request;
    request.mechanism = "PLAIN";
    request.service = "doveadm";
    request.secured = true;
    request.no_penalty = true;
    const sasl::Fields info = auth_info(options);
    for (const auto& field : info.all()) {
        if (field.name == "service")
            request.service = field.value.value_or("");
        else if (field.value)
            request.extra.add(field.name, *field.value);
        else
            request.extra.add(field.name);
    }
    request.initial_response = std::string(1, '\0') + user + std::string(1, '\0') + password;
    return request;
}

void print_fields(const char* title, const sasl::Fields& fields) {
    if (fields.empty()) return;
    std::printf("%s:\n", title);
    for (const auto& field : fields.all()) {
        if (field.value)
            std::printf("  %s=%s\n", field.name.c_str(), field.value->c_str());
        else
            std::printf("  %s\n", field.name.c_str());
    }
}

int print_reply(const std::string& user, const Expected<ipc::AuthReply>& reply) {
    if (!reply) {
        error("auth-client: " + reply.error().text);
        return EX_TEMPFAIL;
    }
    if (reply->kind == ipc::AuthReply::Kind::kOk) {
        std::printf("passdb: %s auth succeeded\n", user.c_str());
        print_fields("extra fields", reply->fields);
        return 0;
    }
    if (reply->code == "unsupported") {
        error("auth server does not offer mechanism PLAIN");
        return EX_TEMPFAIL;
    }
    std::printf("passdb: %s auth failed\n", user.c_str());
    print_fields("extra fields", reply->fields);
    return reply->temporary ? EX_TEMPFAIL : EX_NOPERM;
}

// The user and the password of the command line, or asked for.
bool user_and_password(const Options& options, const char* usage, std::string& user, std::string& password) {
    if (options.rest.empty() || options.rest.size() > 2) {
        std::fprintf(stderr, "usage: doveadm %s\n", usage);
        return false;
    }
    user = options.rest[0];
    if (options.rest.size() == 2) {
        password = options.rest[1];
        return true;
    }
    auto asked = ask_password("Password: ");
    if (!asked) {
        error("password is missing");
        return false;
    }
    password = std::move(*asked);
    return true;
}

void print_record(const char* kind, const std::string& user, const sasl::Fields& fields) {
    std::printf("%s: %s\n", kind, user.c_str());
    for (const auto& field : fields.all())
        std::printf("  %-10s: %s\n", field.name.c_str(), field.value.value_or("").c_str());
}

}   // namespace

int auth_test(Context& context, const Arguments& arguments) {
    const char* usage = "auth test [-a <auth socket path>] [-x <auth info>] <user> [<password>]";
    Options options;
    std::string user, password;
    if (!parse_options(arguments, "", "ax", usage, options) || !user_and_password(options, usage, user, password))
        return EX_USAGE;
    std::string path = context.socket(options.has('a') ? options.value('a') : "auth-client");
    Loop loop;
    auto whole = [](std::string socket, ipc::AuthRequest request) -> Task<Expected<ipc::AuthReply>> {
        Scope scope;
        ipc::AuthClient client(scope, std::move(socket));
        auto reply = co_await client.start(std::move(request), kPatience);
        scope.cancel();
        co_await scope.join();
        co_return reply;
    };
    auto request = plain_request(options, user, password);
    request.nologin = true;
    return print_reply(user, loop.run_until_complete(whole(path, std::move(request))));
}

int auth_login(Context& context, const Arguments& arguments) {
    const char* usage =
        "auth login [-a <auth-login socket path>] [-m <auth-master socket path>] [-x <auth info>] <user> [<password>]";
    Options options;
    std::string user, password;
    if (!parse_options(arguments, "", "amx", usage, options) || !user_and_password(options, usage, user, password))
        return EX_USAGE;
    struct Outcome {
        Expected<ipc::AuthReply> reply = ipc::AuthReply();
        Expected<ipc::UserReply> user = ipc::UserReply();
    };
    Loop loop;
    auto whole = [](std::string login_socket, std::string master_socket, ipc::AuthRequest request) -> Task<Outcome> {
        Scope scope;
        ipc::AuthClient client(scope, std::move(login_socket));
        ipc::AuthMaster master(scope, std::move(master_socket));
        Outcome outcome;
        outcome.reply = co_await client.start(std::move(request), kPatience);
        if (outcome.reply && outcome.reply->kind == ipc::AuthReply::Kind::kOk) {
            outcome.user = co_await master.request(outcome.reply->client_pid, outcome.reply->request_id,
                                                   outcome.reply->cookie, kPatience);
        }
        scope.cancel();
        co_await scope.join();
        co_return outcome;
    };
    auto outcome = loop.run_until_complete(whole(context.socket(options.has('a') ? options.value('a') : "auth-login"),
                                                 context.socket(options.has('m') ? options.value('m') : "auth-master"),
                                                 plain_request(options, user, password)));
    int status = print_reply(user, outcome.reply);
    if (status != 0) return status;
    if (!outcome.user) {
        error("auth-master: " + outcome.user.error().text);
        return EX_TEMPFAIL;
    }
    if (outcome.user->kind != ipc::UserReply::Kind::kFound) {
        error("auth-master: login of " + user + " has no user: " + outcome.user->reason);
        return outcome.user->kind == ipc::UserReply::Kind::kNotFound ? EX_NOUSER : EX_TEMPFAIL;
    }
    std::printf("userdb extra fields:\n  %s\n", outcome.user->user.c_str());
    for (const auto& field : outcome.user->fields.all()) {
        if (field.value)
            std::printf("  %s=%s\n", field.name.c_str(), field.value->c_str());
        else
            std::printf("  %s\n", field.name.c_str());
    }
    return 0;
}

int auth_lookup(Context& context, const Arguments& arguments) {
    const char* usage = "auth lookup [-a <userdb socket path>] [-x <auth info>] [-f field] <user> [<user> [...]]";
    Options options;
    if (!parse_options(arguments, "", "axf", usage, options)) return EX_USAGE;
    if (options.rest.empty()) {
        std::fprintf(stderr, "usage: doveadm %s\n", usage);
        return EX_USAGE;
    }
    std::string path =
        context.socket(options.has('a') ? options.value('a') : context.need_conf().str("auth_socket_path"));
    int status = 0;
    Loop loop;
    for (const auto& user : options.rest) {
        ipc::UserLookup lookup;
        lookup.user = user;
        const sasl::Fields info = auth_info(options);
        for (const auto& field : info.all()) {
            if (field.name == "service")
                lookup.service = field.value.value_or("");
            else
                lookup.extra.add(field.name, field.value.value_or(""));
        }
        auto whole = [](std::string socket, ipc::UserLookup question) -> Task<Expected<ipc::UserReply>> {
            Scope scope;
            ipc::AuthMaster master(scope, std::move(socket));
            auto reply = co_await master.passdb(std::move(question), kPatience);
            scope.cancel();
            co_await scope.join();
            co_return reply;
        };
        auto reply = loop.run_until_complete(whole(path, std::move(lookup)));
        if (!reply) {
            error("auth-master: passdb lookup(" + user + "): " + reply.error().text);
            status = EX_TEMPFAIL;
        } else if (reply->kind == ipc::UserReply::Kind::kNotFound) {
            std::fprintf(stderr, "passdb lookup: user %s doesn't exist\n", user.c_str());
            status = EX_NOUSER;
        } else if (reply->kind == ipc::UserReply::Kind::kFail) {
            error("passdb lookup failed for " + user + (reply->reason.empty() ? "" : ": " + reply->reason));
            status = EX_TEMPFAIL;
        } else if (options.has('f')) {
            if (reply->fields.has(options.value('f')))
                std::printf("%s\n", reply->fields.get(options.value('f')).c_str());
        } else {
            print_record("passdb", user, reply->fields);
        }
    }
    return status;
}

int auth_cache_flush(Context& context, const Arguments& arguments) {
    Options options;
    if (!parse_options(arguments, "", "a", "auth cache flush [-a <master socket path>] [<user> [...]]", options))
        return EX_USAGE;
    Loop loop;
    auto whole = [](std::string socket, std::vector<std::string> users) -> Task<Expected<uint32_t>> {
        Scope scope;
        ipc::AuthMaster master(scope, std::move(socket));
        auto count = co_await master.cache_flush(std::move(users), kPatience);
        scope.cancel();
        co_await scope.join();
        co_return count;
    };
    auto count = loop.run_until_complete(
        whole(context.socket(options.has('a') ? options.value('a') : "auth-master"), options.rest));
    if (!count) {
        error("auth-master: auth cache flush: " + count.error().text);
        return EX_TEMPFAIL;
    }
    std::printf("%u cache entries flushed\n", *count);
    return 0;
}

}   // namespace postcot::doveadm
