// smtpd_tls_* of one service as a TLS context.
#pragma once

#include <memory>

#include "libproto/error.h"
#include "libproto/runtime/tls.h"
#include "smtpd/service.h"

namespace postcot::smtpd {

// Null: no TLS is offered. Where TLS is only offered (security level may) what is wrong with its settings is a warning, and the service goes on
// without, as Postfix's does. Where it is a must (encrypt, wrapper mode) it is an error: nobody could use the service, or it would be used in
// the clear.
Expected<std::shared_ptr<TlsContext>> open_tls(const Service& service);

}   // namespace postcot::smtpd
