#include "queued/local/virtual.h"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "libproto/runtime/log.h"
#include "libproto/runtime/sandbox.h"
#include "queued/local/results.h"

namespace postcot::queued {

Expected<std::unique_ptr<VirtualMailboxes>> VirtualMailboxes::open(const config::MainCf& main) {
    auto keys = address::Keys::open(main);
    if (!keys) return fail(keys.error());
    auto out = std::unique_ptr<VirtualMailboxes>(new VirtualMailboxes(std::move(*keys)));
    auto maps = [&main](const char* parameter, table::Maps& into) -> Expected<void> {
        auto opened = table::Maps::open(main.str(parameter), main, parameter);
        if (!opened) return fail(opened.error());
        into = std::move(*opened);
        return {};
    };
    if (auto ok = maps("virtual_mailbox_maps", out->mailboxes_); !ok) return fail(ok.error());
    if (auto ok = maps("virtual_uid_maps", out->uids_); !ok) return fail(ok.error());
    if (auto ok = maps("virtual_gid_maps", out->gids_); !ok) return fail(ok.error());
    out->base_ = main.str("virtual_mailbox_base");
    out->uid_spec_ = main.str("virtual_uid_maps");
    out->gid_spec_ = main.str("virtual_gid_maps");
    out->minimum_uid_ = main.integer("virtual_minimum_uid");
    return out;
}

Expected<std::optional<std::string>> VirtualMailboxes::find(const table::Maps& maps, const std::string& address) const {
    auto found = keys_.find(maps, address);
    if (!found) return fail(found.error());
    if (!*found) return std::optional<std::string>{};
    return std::optional<std::string>(std::move((*found)->value));
}

Expected<uint32_t> VirtualMailboxes::number(const table::Maps& maps, const std::string& address,
                                            const char* parameter) const {
    auto found = find(maps, address);
    if (!found) return fail(found.error());
    const std::string& spec = maps.empty() ? std::string(parameter) : (&maps == &uids_ ? uid_spec_ : gid_spec_);
    if (!*found) {
        log::warning("recipient {}: {} not found in {}", address, &maps == &uids_ ? "uid" : "gid", spec);
        return fail(0, "mail system configuration error");
    }
    uint32_t value = 0;
    const std::string& text = **found;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
        log::warning("recipient {}: bad number \"{}\" in {}", address, text, spec);
        return fail(0, "mail system configuration error");
    }
    return value;
}

Decision VirtualMailboxes::decide(const ipc::Recipient& recipient) const {
    std::string address = lower_case(recipient.address);
    auto mailbox = find(mailboxes_, address);
    if (!mailbox) return decided(deferred("4.3.0", "mailbox lookup failure: " + mailbox.error().text));
    if (!*mailbox) return decided(bounced("5.1.1", fmt::format("unknown user: \"{}\"", address)));
    if ((*mailbox)->empty()) return decided(deferred("4.3.5", "mail system configuration error"));

    Action action;
    action.kind = Action::Kind::kMailbox;
    action.virtual_mailbox = true;
    action.path = base_.empty() ? **mailbox : base_ + "/" + **mailbox;
    action.delivered_to = recipient.address;
    if (running_as_root()) {
        auto uid = number(uids_, address, "virtual_uid_maps");
        if (!uid) return decided(deferred("4.3.5", uid.error().text));
        if (*uid < minimum_uid_) {
            log::warning("recipient {}: uid {} is below virtual_minimum_uid {}", address, *uid, minimum_uid_);
            return decided(deferred("4.3.5", "mail system configuration error"));
        }
        auto gid = number(gids_, address, "virtual_gid_maps");
        if (!gid) return decided(deferred("4.3.5", gid.error().text));
        action.uid = *uid;
        action.gid = *gid;
    } else {
        action.uid = getuid();
        action.gid = getgid();
    }
    ChildRights rights;
    rights.uid = action.uid;
    rights.gid = action.gid;
    return carried_out_by(rights, std::move(action));
}

}   // namespace postcot::queued
