// What the agent, as root, makes of one recipient: an answer, or an Action and the rights to carry it out with.
#pragma once

#include <optional>
#include <string>

#include "libproto/ipc/delivery.h"
#include "queued/local/action.h"
#include "queued/local/children.h"

namespace postcot::queued {

struct Decision {
    std::optional<ipc::RecipientResult> result;
    ChildRights rights;
    Action action;
};

inline Decision decided(ipc::RecipientResult result) {
    Decision out;
    out.result = std::move(result);
    return out;
}
inline Decision carried_out_by(ChildRights rights, Action action) {
    Decision out;
    out.rights = rights;
    out.action = std::move(action);
    return out;
}

}   // namespace postcot::queued
