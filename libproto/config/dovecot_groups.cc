// 2.4's groups: `group @label name { ... }` keeps lines, `@label = name` puts them where it stands. Before or after the group, and behind what is said there
// in so many words.
#include <cerrno>

#include "libproto/config/dovecot_parser.h"

namespace postcot::config {
namespace {

constexpr size_t kMaxGroupUses = 1000;   // a group may use groups
constexpr size_t kMaxReplayedLines = 100000;

}   // namespace

// True while the line belongs to a group.
bool DovecotParser::record_group(const DovecotLine& line, const std::string& file, int number) {
    if (!recording_) {
        if (line.what != DovecotLine::What::kOpen || line.key != "group" || !line.value.starts_with('@') ||
            stack_.size() != 1)
            return false;
        recording_.emplace();
        recording_->label = line.value;
        recording_depth_ = 1;
        return true;
    }
    if (line.what == DovecotLine::What::kOpen) ++recording_depth_;
    if (line.what == DovecotLine::What::kClose && --recording_depth_ == 0) {
        groups_.push_back(std::move(*recording_));
        recording_.reset();
        return true;
    }
    recording_->lines.push_back({line, file, number});
    return true;
}

Expected<void> DovecotParser::use_group(const std::string& label, const std::string& name, const std::string& file,
                                        int line) {
    if (group_uses_.size() >= kMaxGroupUses) return fail(EINVAL, "too many uses of groups");
    group_uses_.push_back({label + ' ' + name, stack_, file, line});
    return {};
}

Expected<void> DovecotParser::apply_groups() {
    size_t replayed = 0;
    replaying_ = true;
    for (size_t i = 0; i < group_uses_.size(); ++i) {   // grows while groups use groups
        const GroupUse use = group_uses_[i];
        bool found = false;
        for (size_t g = 0; g < groups_.size(); ++g) {
            if (groups_[g].label != use.label) continue;
            found = true;
            stack_ = use.where;
            const size_t opened = stack_.size();
            for (const auto& line : groups_[g].lines) {
                if (++replayed > kMaxReplayedLines)
                    return fail(EINVAL, at(use.file, use.line) + "groups use each other without end");
                if (line.read.what == DovecotLine::What::kClose && stack_.size() == opened) break;
                if (auto done = apply(line.read, line.file, line.number, 1); !done) return done;
            }
        }
        if (!found) return fail(EINVAL, at(use.file, use.line) + "Unknown group label " + use.label);
    }
    stack_ = {root_.get()};
    return {};
}

}   // namespace postcot::config
