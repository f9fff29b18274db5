#include "libproto/address/validate.h"

namespace postcot::address {

Expected<std::shared_ptr<const Validator>> Validator::open(const config::MainCf& main,
                                                           std::shared_ptr<const Cleanup> cleanup) {
    std::shared_ptr<Validator> v(new Validator(std::move(cleanup)));
    struct Map {
        const char* name;
        table::Maps Validator::*member;
        bool Validator::*checked;
    };
    for (const auto& m : {Map{"local_recipient_maps", &Validator::local_maps_, &Validator::check_local_},
                          Map{"virtual_mailbox_maps", &Validator::virtual_mailbox_maps_, &Validator::check_virtual_},
                          Map{"relay_recipient_maps", &Validator::relay_maps_, &Validator::check_relay_}}) {
        const auto value = main.str(m.name);
        auto maps = table::Maps::open(value, main, m.name);
        if (!maps) return fail(std::move(maps.error()));
        (*v).*m.checked = !maps->empty();   // an empty value: every recipient is taken
        (*v).*m.member = std::move(*maps);
    }
    v->local_code_ = static_cast<int>(main.integer("unknown_local_recipient_reject_code"));
    v->virtual_alias_code_ = static_cast<int>(main.integer("unknown_virtual_alias_reject_code"));
    v->virtual_mailbox_code_ = static_cast<int>(main.integer("unknown_virtual_mailbox_reject_code"));
    v->relay_code_ = static_cast<int>(main.integer("unknown_relay_recipient_reject_code"));
    v->show_table_name_ = main.boolean("show_user_unknown_table_name");
    return std::shared_ptr<const Validator>(std::move(v));
}

Expected<void> Validator::check(std::string_view sender, std::string_view address, Kind kind) const {
    auto temporary = [](Error e) { return fail(0, "4.3.0", std::move(e.text)); };
    auto resolved = cleanup_->resolver().resolve(sender, address);
    if (!resolved) return temporary(std::move(resolved.error()));
    auto alias = cleanup_->is_alias(resolved->recipient, kind == Kind::kSender);
    if (!alias) return temporary(std::move(alias.error()));
    if (*alias) return {};

    auto unknown = [&](int code, const char* table) {
        std::string text = "User unknown";
        if (show_table_name_) text += std::string(" in ") + table + " table";
        const char* status = kind == Kind::kSender ? "5.1.0" : "5.1.1";
        return fail(code, code >= 500 ? status : std::string("4") + (status + 1), std::move(text));
    };
    // What the error transport takes is known to be undeliverable, whatever made it so.
    if (resolved->transport == "error" || resolved->transport == "retry") {
        std::string status = resolved->transport == "error" ? "5.1.1" : "4.1.1";
        std::string text = resolved->nexthop;
        if (text.size() > 5 && text[1] == '.' && text[3] == '.') {
            status = text.substr(0, text.find(' '));
            text = text.find(' ') == std::string::npos ? "undeliverable" : text.substr(text.find(' ') + 1);
        }
        int code = resolved->transport == "error" ? 550 : 450;
        if (resolved->domain_class == DomainClass::kVirtualAlias && status == "5.1.1") code = virtual_alias_code_;
        if (kind == Kind::kSender && status == "5.1.1") status = "5.1.0";
        return fail(code, std::move(status), std::move(text));
    }

    struct Rule {
        const table::Maps* maps;
        bool checked;
        int code;
        const char* table;
    };
    Rule rule{nullptr, false, 0, ""};
    switch (resolved->domain_class) {
        case DomainClass::kLocal: rule = {&local_maps_, check_local_, local_code_, "local recipient"}; break;
        case DomainClass::kVirtualMailbox:
            rule = {&virtual_mailbox_maps_, check_virtual_, virtual_mailbox_code_, "virtual mailbox"};
            break;
        case DomainClass::kRelay: rule = {&relay_maps_, check_relay_, relay_code_, "relay recipient"}; break;
        case DomainClass::kVirtualAlias: return unknown(virtual_alias_code_, "virtual alias");
        case DomainClass::kDefault: return {};
    }
    if (!rule.checked) return {};
    auto found = cleanup_->resolver().keys().find(*rule.maps, resolved->recipient);
    if (!found) return temporary(std::move(found.error()));
    if (*found) return {};
    return unknown(rule.code, rule.table);
}

}   // namespace postcot::address
