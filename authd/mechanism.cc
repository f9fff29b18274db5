#include "authd/mechanism.h"

#include <sasl/sasl.h>
#include <sasl/saslplug.h>

#include <algorithm>
#include <cstring>

#include "libproto/runtime/log.h"

namespace postcot::authd {

namespace {

// Flags as Dovecot announces them. A mechanism that is not here is refused at start, even if libsasl2 has it: its passwords would be looked up past
// our passdbs.
const sasl::Mechanism kKnown[] = {
    {.name = "PLAIN", .plaintext = true},
    {.name = "LOGIN", .plaintext = true},
};

// libsasl2 keeps every callback as int (*)(); by way of void (*)(), which GCC takes for "any function".
template <class F>
int (*callback(F* function))() {
    return reinterpret_cast<int (*)()>(reinterpret_cast<void (*)()>(function));
}

int on_getopt(void*, const char*, const char* option, const char** result, unsigned* length) {
    // No password source of the library's own may answer: see checkpass below. "none" names no verifier.
    const char* value = nullptr;
    if (std::strcmp(option, "pwcheck_method") == 0) value = "none";
    if (std::strcmp(option, "auxprop_plugin") == 0) value = "postcot";
    if (std::strcmp(option, "log_level") == 0) value = "1";
    if (!value) return SASL_FAIL;
    *result = value;
    if (length) *length = static_cast<unsigned>(std::strlen(value));
    return SASL_OK;
}

// The library looks up every authorization identity in a store of its own and refuses those it does not find there. Ours says that
// everybody exists and has no properties: who exists is the passdbs' to say.
int look_up_nothing(void*, sasl_server_params_t*, unsigned, const char*, unsigned) { return SASL_OK; }

int no_store(const sasl_utils_t*, int, int* version, sasl_auxprop_plug_t** plugin, const char*) {
    static char name[] = "postcot";
    static sasl_auxprop_plug_t store{};
    store.auxprop_lookup = look_up_nothing;
    store.name = name;
    *version = SASL_AUXPROP_PLUG_VERSION;
    *plugin = &store;
    return SASL_OK;
}

int on_log(void*, int level, const char* message) {
    if (level <= SASL_LOG_ERR && message) log::debug("libsasl2: {}", message);
    return SASL_OK;
}

}   // namespace

struct Exchange::Impl {
    std::string mechanism;
    sasl_conn_t* connection = nullptr;
    sasl_callback_t callbacks[5] = {};
    bool have_password = false;
    Credentials credentials;

    static int on_checkpass(sasl_conn_t*, void* context, const char* user, const char* password, unsigned length,
                            struct propctx*) {
        auto* self = static_cast<Impl*>(context);
        self->credentials.authentication_id = user;
        self->credentials.password.assign(password, length);
        self->have_password = true;
        return SASL_OK;   // "go on": the verdict is not the library's
    }
    // Names stay as they are: auth_username_format and its kin are ours.
    static int on_canonical_user(sasl_conn_t*, void*, const char* in, unsigned length, unsigned, const char*, char* out,
                                 unsigned max, unsigned* out_length) {
        if (length + 1 > max) return SASL_BUFOVER;
        std::memmove(out, in, length);
        out[length] = '\0';
        *out_length = length;
        return SASL_OK;
    }
    static int on_proxy_policy(sasl_conn_t*, void* context, const char* requested, unsigned length, const char*,
                               unsigned, const char*, unsigned, struct propctx*) {
        static_cast<Impl*>(context)->credentials.authorization_id.assign(requested, length);
        return SASL_OK;
    }

    Step step(int result, const char* out, unsigned length) {
        Step step;
        if (result == SASL_CONTINUE) {
            step.kind = Step::Kind::kChallenge;
            step.challenge.assign(out ? out : "", length);
        } else if (result == SASL_OK && have_password) {
            step.kind = Step::Kind::kCredentials;
            step.credentials = std::move(credentials);
        } else {
            step.error = "invalid input";
        }
        return step;
    }
};

Expected<std::vector<sasl::Mechanism>> start_sasl(const std::vector<std::string>& wanted) {
    static const sasl_callback_t global[] = {
        {SASL_CB_GETOPT, callback(on_getopt), nullptr},
        {SASL_CB_LOG, callback(on_log), nullptr},
        {SASL_CB_LIST_END, nullptr, nullptr},
    };
    static const int started = [] {
        (void)sasl_auxprop_add_plugin("postcot", no_store);
        return sasl_server_init(global, "postcot");
    }();
    if (started != SASL_OK)
        return fail(0, std::string("libsasl2 does not start: ") + sasl_errstring(started, nullptr, nullptr));
    std::vector<std::string> present;
    for (const char** name = sasl_global_listmech(); name && *name; ++name) present.emplace_back(*name);
    std::vector<sasl::Mechanism> out;
    for (const auto& name : wanted) {
        auto known = std::find_if(std::begin(kKnown), std::end(kKnown), [&](const auto& m) { return m.name == name; });
        if (known == std::end(kKnown)) return fail(0, "Unknown authentication mechanism '" + name + "'");
        if (std::find(present.begin(), present.end(), name) == present.end()) {
            return fail(0, "libsasl2 has no authentication mechanism '" + name + "' (package libsasl2-modules)");
        }
        out.push_back(*known);
    }
    return out;
}

Exchange::Exchange(std::string mechanism) : impl_(std::make_unique<Impl>()) {
    auto& self = *impl_;
    self.mechanism = std::move(mechanism);
    self.callbacks[0] = {SASL_CB_SERVER_USERDB_CHECKPASS, callback(Impl::on_checkpass), &self};
    self.callbacks[1] = {SASL_CB_CANON_USER, callback(Impl::on_canonical_user), &self};
    self.callbacks[2] = {SASL_CB_PROXY_POLICY, callback(Impl::on_proxy_policy), &self};
    self.callbacks[3] = {SASL_CB_LIST_END, nullptr, nullptr};
    if (sasl_server_new("postcot", "localhost", nullptr, nullptr, nullptr, self.callbacks, 0, &self.connection) !=
        SASL_OK) {
        self.connection = nullptr;
    }
}

Exchange::~Exchange() {
    if (impl_->connection) sasl_dispose(&impl_->connection);
}

Step Exchange::start(const std::optional<std::string>& initial_response) {
    auto& self = *impl_;
    if (!self.connection) return {Step::Kind::kInvalid, {}, {}, "libsasl2 is out of memory"};
    const char* out = nullptr;
    unsigned length = 0;
    const char* in = initial_response ? initial_response->data() : nullptr;
    auto in_length = initial_response ? static_cast<unsigned>(initial_response->size()) : 0U;
    int result = sasl_server_start(self.connection, self.mechanism.c_str(), in, in_length, &out, &length);
    return self.step(result, out, length);
}

Step Exchange::next(const std::string& response) {
    auto& self = *impl_;
    const char* out = nullptr;
    unsigned length = 0;
    int result =
        sasl_server_step(self.connection, response.data(), static_cast<unsigned>(response.size()), &out, &length);
    return self.step(result, out, length);
}

}   // namespace postcot::authd
