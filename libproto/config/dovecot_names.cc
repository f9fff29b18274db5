#include "libproto/config/dovecot_names.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "libproto/config/dovecot_settings.h"
#include "libproto/config/values.h"

namespace postcot::config {
namespace {

// Filters of 2.4 that nothing here serves; what stands in them is not looked at.
constexpr std::string_view kSections24 =
    "acl auth_policy cassandra charset_alias compress crypt_global_private_key crypt_user_key_encryption_key dict "
    "dict_file dict_ldap dict_map "
    "dict_map_key_field dict_map_value_field dict_proxy dict_redis dict_server dict_sql doveadm_server event_exporter "
    "event_exporter_file "
    "event_exporter_http_post event_exporter_unix execute fs fs_compress fs_crypt fs_dict fs_posix fs_sis fs_sis_queue "
    "fts fts_decoder "
    "fts_decoder_script fts_decoder_tika fts_flatcurve fts_solr http_client http_server imap_acl imap_urlauth imapc "
    "imapsieve imapsieve_from "
    "language language_filter language_tokenizer last_login last_login_dict layout_fs layout_imapc layout_imapdir "
    "layout_index lazy_expunge ldap "
    "lmtp_pre_mail lua mail_attachment mail_attribute mail_compress mail_crypt mail_ext_attachment mail_log mail_lua "
    "maildir mbox mdbox metric "
    "metric_group_by metric_group_by_method mysql notify_status oauth2 oauth2_local_validation passdb_imapc "
    "passdb_ldap passdb_lua passdb_oauth2 "
    "passdb_pam passdb_passwd passdb_passwd_file passdb_sql passdb_static pgsql pop3_migration pop3c push_notification "
    "push_notification_ox quota "
    "quota_clone quota_count quota_fs quota_imapc quota_maildir quota_over_status quota_status quota_warning redis "
    "sdbox sieve_duplicate "
    "sieve_editheader sieve_editheader_header sieve_execute sieve_extdata sieve_filter sieve_pipe sieve_script "
    "sieve_spamtest sieve_virustest sql "
    "sqlite stats_server trash userdb_imapc userdb_ldap userdb_lua userdb_passwd userdb_passwd_file userdb_sql "
    "userdb_static virtual welcome";

// Known to 2.0, 2.1 or 2.2 at the top level, and gone since; 2.3 still knows where they went.
constexpr std::string_view kOldNames =
    "auth_chroot auth_count auth_executable auth_ntlm_use_winbind auth_process_size auth_user dbox_rotate_days "
    "dbox_rotate_interval "
    "dbox_rotate_min_size imap_zlib_compress_level lmtp_address_translate login_chroot login_dir login_executable "
    "login_max_connections "
    "login_max_processes_count login_process_per_connection login_process_size login_processes_count "
    "mail_drop_priv_before_exec mail_executable "
    "mail_log_max_lines_per_sec mail_process_size maildir_copy_preserve_filename max_mail_processes mdbox_altmove "
    "mdbox_max_open_files "
    "mdbox_purge_preserve_alt fsync_disable ssl_protocols ssl_dh_parameters_length ssl_listen "
    "ssl_parameters_regenerate";

// Families of settings that nothing here serves, whatever a version or a plug-in of others puts into them.
constexpr std::string_view kFamilies[] = {"acl_",
                                          "antispam",
                                          "apparmor_",
                                          "cassandra_",
                                          "charset_alias",
                                          "crypt_",
                                          "dict_",
                                          "director_",
                                          "doveadm_",
                                          "dsync_",
                                          "fs_",
                                          "fts_",
                                          "imap_acl_",
                                          "imap_urlauth_",
                                          "imapsieve_",
                                          "language_",
                                          "last_login_",
                                          "lazy_expunge",
                                          "ldap_",
                                          "lua_",
                                          "mail_compress_",
                                          "mail_crypt_",
                                          "mail_lua_",
                                          "managesieve_",
                                          "metric_",
                                          "mysql_",
                                          "notify_",
                                          "oauth2_",
                                          "old_stats_",
                                          "pgsql_",
                                          "pop3_migration_",
                                          "push_notification_",
                                          "quota_",
                                          "redis_",
                                          "replication_",
                                          "replicator_",
                                          "sieve",
                                          "sql_",
                                          "sqlite_",
                                          "stats_",
                                          "submission_",
                                          "textcat_",
                                          "trash_",
                                          "virtual_",
                                          "welcome_",
                                          "zlib_",
                                          "event_exporter_",
                                          "squat_",
                                          "execute_"};

constexpr std::string_view kHarmlessFamilies[] = {"http_client_", "http_server_",     "imapc_", "layout_",
                                                  "mail_cache_",  "mail_index_log",   "pop3c_", "mail_index_rewrite_",
                                                  "dns_client_",  "login_socket_path"};
constexpr std::string_view kHarmless =
    "dovecot_storage_version mbox_md5 mailbox_list_lost_mailbox_prefix passdb_use_cache passdb_use_worker "
    "userdb_use_cache userdb_use_worker "
    "service_name inet_listener_name unix_listener_name fifo_listener_name namespace_name mailbox_name passdb_name "
    "userdb_name fifo_listener_path "
    "fifo_listener_type mailbox_list_iter_from_index_dir mail_alt_check";

bool known_to_2_4(std::string_view name) {
    auto names = dovecot_2_4_names();
    return std::binary_search(names.begin(), names.end(), name);
}

std::string joined(std::string_view first, std::string_view second) {
    std::string out(first);
    std::replace(out.begin(), out.end(), '-', '_');   // passdb passwd-file { } holds passdb_passwd_file_...
    return out + '_' + std::string(second);
}

template <class Range>
bool begins_with_one_of(std::string_view name, const Range& beginnings) {
    return std::any_of(std::begin(beginnings), std::end(beginnings),
                       [&](std::string_view one) { return name.starts_with(one); });
}

// Letters to change, leave out, put in or swap with the next to come from one word to the other.
size_t distance(std::string_view a, std::string_view b) {
    std::vector<size_t> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
    for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (size_t j = 1; j <= b.size(); ++j) {
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = std::min(row[j], before[j - 2] + 1);
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

// Keeps the name that is nearest, where it is near enough.
class Nearest {
  public:
    explicit Nearest(std::string_view wanted)
        : wanted_(wanted),
          bound_(wanted.size() < 5    ? 1
                 : wanted.size() < 12 ? 2
                 : wanted.size() < 16 ? 3
                                      : 4) {}
    void offer(std::string_view name) {
        if (wanted_.size() > kLongest || name.size() > wanted_.size() + bound_ || wanted_.size() > name.size() + bound_)
            return;
        size_t found = distance(wanted_, name);
        if (found == 0 || found > bound_ || found >= name.size() || (!best_.empty() && found >= best_distance_)) return;
        best_ = name;
        best_distance_ = found;
    }
    std::string best() const { return best_; }

  private:
    static constexpr size_t kLongest = 64;
    std::string_view wanted_;
    size_t bound_;
    size_t best_distance_ = 0;
    std::string best_;
};

}   // namespace

std::string dovecot_2_4_name(std::string_view type, std::string_view name, std::string_view key) {
    if (!type.empty()) {
        std::vector<std::string> candidates;
        if (!name.empty()) candidates.push_back(joined(joined(type, name), key));
        candidates.push_back(joined(type, key));
        if (!name.empty()) candidates.push_back(joined(name, key));
        // passdb passwd-file { path } is passwd_file_path.
        for (const auto& candidate : candidates) {
            if (known_to_2_4(candidate)) return candidate;
        }
    }
    return known_to_2_4(key) ? std::string(key) : std::string();
}

bool is_dovecot_2_4_section(std::string_view type) {
    return is_one_of(type, kSections24) ||
           (type.find('_') != std::string_view::npos && begins_with_one_of(type, kFamilies));
}

Familiar familiar_setting(std::string_view type, std::string_view name, std::string_view key) {
    std::string full = dovecot_2_4_name(type, name, key);
    if (full.empty() && (is_one_of(key, kOldNames) || begins_with_one_of(key, kFamilies))) return Familiar::kYes;
    if (full.empty()) return Familiar::kNo;
    if (is_one_of(full, kHarmless) || begins_with_one_of(full, kHarmlessFamilies)) return Familiar::kHarmless;
    return Familiar::kYes;
}

std::string likely_setting(std::string_view type, std::string_view name, std::string_view key) {
    Nearest nearest(key);
    for (const auto& known : dovecot_settings()) {
        if (known.section == type) nearest.offer(known.parameter.name);
    }
    for (std::string_view known : dovecot_2_4_names()) {
        if (type.empty()) {
            nearest.offer(known);
        } else if (known.size() > type.size() && known.starts_with(type) && known[type.size()] == '_') {
            nearest.offer(known.substr(type.size() + 1));
        }
    }
    if (!type.empty() && !name.empty()) {
        std::string beginning = joined(joined(type, name), "");
        for (std::string_view known : dovecot_2_4_names()) {
            if (known.starts_with(beginning)) nearest.offer(known.substr(beginning.size()));
        }
    }
    return nearest.best();
}

std::string likely_section(std::string_view type) {
    Nearest nearest(type);
    for (std::string_view known : {"service", "passdb", "userdb", "namespace", "plugin", "protocol", "local", "remote",
                                   "local_name", "protocols", "mailbox", "unix_listener", "inet_listener",
                                   "fifo_listener", "ssl_server", "ssl_client", "group"}) {
        nearest.offer(known);
    }
    for (const auto& known : split_list(kSections24)) nearest.offer(known);
    return nearest.best();
}

}   // namespace postcot::config
