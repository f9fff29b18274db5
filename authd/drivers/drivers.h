// One opener per driver, for the registry in database.cc.
#pragma once

#include "authd/drivers/database.h"

namespace postcot::authd {

Expected<std::unique_ptr<PassDb>> open_passwd_file_passdb(const Database& database);
Expected<std::unique_ptr<UserDb>> open_passwd_file_userdb(const Database& database);
Expected<std::unique_ptr<PassDb>> open_static_passdb(const Database& database);
Expected<std::unique_ptr<UserDb>> open_static_userdb(const Database& database);
Expected<std::unique_ptr<PassDb>> open_passwd_passdb(const Database& database);
Expected<std::unique_ptr<UserDb>> open_passwd_userdb(const Database& database);
Expected<std::unique_ptr<UserDb>> open_prefetch_userdb(const Database& database);
Expected<std::unique_ptr<PassDb>> open_worker_passdb(const Database& database, WorkerPool& workers);   // pam, shadow

}   // namespace postcot::authd
