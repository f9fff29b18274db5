// What one smtp(8) or lmtp(8) service of master.cf needs, made before the sandbox.
#pragma once

#include <memory>
#include <string>

#include "libproto/config/postfix.h"
#include "libproto/config/tls_ciphers.h"
#include "libproto/runtime/tls.h"
#include "libproto/table/table.h"
#include "queued/remote/routing.h"
#include "queued/remote/settings.h"

namespace postcot::queued {

struct RemoteTransport {
    RemoteTransport(const config::MainCf& main, bool lmtp) : settings(main, lmtp), own(main), main_cf(main) {}
    static std::unique_ptr<RemoteTransport> open(const config::MainCf& main, bool lmtp);

    ClientSettings settings;
    OwnAddresses own;
    config::MainCf main_cf;
    std::string queue_directory;
    std::shared_ptr<TlsContext> tls, verifying_tls;   // null: cannot be had, see tls_error
    TlsVersions may_versions, must_versions;          // for the levels may, and encrypt and above
    config::CipherParameters ciphers;
    table::Maps sasl_passwords;
    table::Maps tls_policies;
    std::string tls_error;
    std::string config_error;   // not empty: every delivery is deferred with "mail system configuration error"
};

}   // namespace postcot::queued
