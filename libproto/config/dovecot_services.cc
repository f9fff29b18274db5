// The services Dovecot 2.3 has without being told (doveconf -a), as far as they differ from an empty service block.
#include "libproto/config/dovecot_settings.h"

namespace postcot::config {

std::string_view dovecot_built_in_services() {
    return R"conf(
service aggregator {
  chroot = .
  executable = aggregator
  user = $default_internal_user
  fifo_listener replication-notify-fifo {
  }
  unix_listener replication-notify {
  }
}
service anvil {
  chroot = empty
  executable = anvil
  idle_kill = 4294967295 secs
  process_limit = 1
  process_min_avail = 1
  type = anvil
  user = $default_internal_user
  unix_listener anvil-auth-penalty {
  }
  unix_listener anvil {
  }
}
service auth-worker {
  client_limit = 1
  executable = auth -w
  type = worker
  unix_listener auth-worker {
    user = $default_internal_user
  }
}
service auth {
  executable = auth
  process_limit = 1
  user = $default_internal_user
  unix_listener auth-client {
    user = $default_internal_user
  }
  unix_listener auth-login {
    user = $default_internal_user
  }
  unix_listener auth-master {
  }
  unix_listener auth-userdb {
    mode = 0666
    user = $default_internal_user
  }
  unix_listener login/login {
    mode = 0666
  }
  unix_listener token-login/tokenlogin {
    mode = 0666
  }
}
service config {
  executable = config
  idle_kill = 4294967295 secs
  type = config
  unix_listener config {
  }
}
service dict-async {
  executable = dict
  user = $default_internal_user
  unix_listener dict-async {
    group = $default_internal_group
    mode = 0660
  }
}
service dict {
  client_limit = 1
  executable = dict
  user = $default_internal_user
  unix_listener dict {
    group = $default_internal_group
    mode = 0660
  }
}
service director {
  chroot = .
  executable = director
  idle_kill = 4294967295 secs
  process_limit = 1
  user = $default_internal_user
  fifo_listener login/proxy-notify {
    mode = 00
  }
  unix_listener director-admin {
  }
  unix_listener login/director {
    mode = 00
  }
}
service dns-client {
  client_limit = 1
  executable = dns-client
  user = $default_internal_user
  unix_listener dns-client {
    mode = 0666
  }
  unix_listener login/dns-client {
    mode = 0666
  }
}
service doveadm {
  client_limit = 1
  executable = doveadm-server
  extra_groups = $default_internal_group
  service_count = 1
  unix_listener doveadm-server {
  }
}
service health-check {
  client_limit = 1
  drop_priv_before_exec = yes
  executable = script -p health-check.sh
  user = $default_internal_user
}
service imap-hibernate {
  executable = imap-hibernate
  protocol = imap
  user = $default_internal_user
  unix_listener imap-hibernate {
    group = $default_internal_group
    mode = 0660
  }
}
service imap-login {
  chroot = login
  executable = imap-login
  protocol = imap
  service_count = 1
  type = login
  user = $default_login_user
  inet_listener imap {
    port = 143
  }
  inet_listener imaps {
    port = 993
    ssl = yes
  }
}
service imap-urlauth-login {
  chroot = token-login
  executable = imap-urlauth-login
  protocol = imap
  service_count = 1
  type = login
  user = $default_login_user
  unix_listener imap-urlauth {
    mode = 0666
  }
}
service imap-urlauth-worker {
  client_limit = 1
  executable = imap-urlauth-worker
  extra_groups = $default_internal_group
  process_limit = 1024
  protocol = imap
  service_count = 1
  unix_listener imap-urlauth-worker {
    user = $default_internal_user
  }
}
service imap-urlauth {
  client_limit = 1
  executable = imap-urlauth
  process_limit = 1024
  protocol = imap
  service_count = 1
  user = $default_internal_user
  unix_listener token-login/imap-urlauth {
    mode = 0666
  }
}
service imap {
  client_limit = 1
  executable = imap
  extra_groups = $default_internal_group
  process_limit = 1024
  protocol = imap
  service_count = 1
  unix_listener imap-master {
  }
  unix_listener login/imap {
    mode = 0666
  }
}
service indexer-worker {
  client_limit = 1
  executable = indexer-worker
  extra_groups = $default_internal_group
  process_limit = 10
  type = worker
  unix_listener indexer-worker {
    user = $default_internal_user
  }
}
service indexer {
  executable = indexer
  process_limit = 1
  user = $default_internal_user
  unix_listener indexer {
    mode = 0666
  }
}
service ipc {
  chroot = empty
  executable = ipc
  process_limit = 1
  user = $default_internal_user
  unix_listener ipc {
    user = $default_internal_user
  }
  unix_listener login/ipc-proxy {
    user = $default_login_user
  }
}
service lmtp {
  client_limit = 1
  executable = lmtp
  extra_groups = $default_internal_group
  protocol = lmtp
  unix_listener lmtp {
    mode = 0666
  }
}
service log {
  executable = log
  idle_kill = 4294967295 secs
  process_limit = 1
  type = log
  unix_listener log-errors {
  }
}
service old-stats {
  chroot = empty
  executable = old-stats
  idle_kill = 4294967295 secs
  process_limit = 1
  user = $default_internal_user
  fifo_listener old-stats-mail {
  }
  fifo_listener old-stats-user {
  }
  unix_listener old-stats {
  }
}
service pop3-login {
  chroot = login
  executable = pop3-login
  protocol = pop3
  service_count = 1
  type = login
  user = $default_login_user
  inet_listener pop3 {
    port = 110
  }
  inet_listener pop3s {
    port = 995
    ssl = yes
  }
}
service pop3 {
  client_limit = 1
  executable = pop3
  extra_groups = $default_internal_group
  process_limit = 1024
  protocol = pop3
  service_count = 1
  unix_listener login/pop3 {
    mode = 0666
  }
}
service replicator {
  executable = replicator
  idle_kill = 4294967295 secs
  process_limit = 1
  unix_listener replicator-doveadm {
    mode = 00
    user = $default_internal_user
  }
  unix_listener replicator {
    user = $default_internal_user
  }
}
service stats {
  executable = stats
  idle_kill = 4294967295 secs
  process_limit = 1
  user = $default_internal_user
  unix_listener login/stats-writer {
    user = $default_login_user
  }
  unix_listener stats-reader {
  }
  unix_listener stats-writer {
    group = $default_internal_group
    mode = 0660
  }
}
service submission-login {
  chroot = login
  executable = submission-login
  protocol = submission
  service_count = 1
  type = login
  user = $default_login_user
  inet_listener submission {
    port = 587
  }
}
service submission {
  client_limit = 1
  executable = submission
  extra_groups = $default_internal_group
  process_limit = 1024
  protocol = submission
  service_count = 1
  unix_listener login/submission {
    mode = 0666
  }
}
service tcpwrap {
  client_limit = 1
  executable = tcpwrap
  user = $default_internal_user
}
)conf";
}

}   // namespace postcot::config
