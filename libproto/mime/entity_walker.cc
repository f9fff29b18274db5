#include "libproto/mime/entity_walker.h"

#include <algorithm>
#include <cstring>

#include "libproto/mime/header.h"

namespace postcot::mime {
namespace {

std::string lower(std::string_view in) {
    std::string out(in);
    for (char& c : out)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return out;
}

// The first word of a value: what follows is parameters or comments.
std::string_view token(std::string_view value) {
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    return value.substr(0, std::min(value.find_first_of(" \t;("), value.size()));
}

}   // namespace

void EntityWalker::feed(std::string_view content) {
    while (!content.empty()) {
        const void* found = std::memchr(content.data(), '\n', content.size());
        const size_t length =
            found ? static_cast<size_t>(static_cast<const char*>(found) - content.data()) + 1 : content.size();
        const auto piece = content.substr(0, length);
        content.remove_prefix(length);
        if (mid_line_) {
            take_text(piece);
            mid_line_ = !found;
        } else if (found && partial_.empty()) {
            take_line(piece);
        } else {
            partial_ += piece;
            if (!found && partial_.size() < kMaxBoundaryLine) return;
            const auto line = std::move(partial_);
            partial_.clear();
            // No line of this length is a boundary (70 characters, RFC 2046 §5.1.1).
            found ? take_line(line) : take_text(line);
            mid_line_ = !found;
        }
    }
}

void EntityWalker::finish() {
    if (!partial_.empty()) {
        const auto line = std::move(partial_);
        partial_.clear();
        take_line(line);
    }
    if (state_ == State::kHeader) end_header({});
    end_body();
}

void EntityWalker::take_line(std::string_view line) {
    if (take_boundary(line)) return;
    if (state_ == State::kHeader && line == "\n") {
        end_header(line);
        return;
    }
    take_text(line);
}

void EntityWalker::take_text(std::string_view text) {
    if (state_ == State::kHeader) {
        header_ += text;
        if (header_.size() <= kMaxHeader) return;
        entity_.kind = Entity::Kind::kOpaque;
        visitor_.header(entity_, {});
        visitor_.structure(header_);
        header_.clear();
        state_ = State::kBody;
    } else if (in_leaf_) {
        visitor_.body(text);
    } else {
        visitor_.structure(text);
    }
}

// RFC 2046 §5.1.1: it is enough that the boundary stands at the line's beginning; of several that fit, the longest is meant.
bool EntityWalker::take_boundary(std::string_view line) {
    if (levels_.empty() || line.size() < 2 || line[0] != '-' || line[1] != '-') return false;
    const auto rest = line.substr(2);
    size_t which = levels_.size();
    for (size_t i = levels_.size(); i-- > 0;) {
        if (rest.substr(0, levels_[i].boundary.size()) != levels_[i].boundary) continue;
        if (which == levels_.size() || levels_[i].boundary.size() > levels_[which].boundary.size()) which = i;
    }
    if (which == levels_.size()) return false;
    if (state_ == State::kHeader) end_header({});
    end_body();
    const bool closing = rest.substr(levels_[which].boundary.size(), 2) == "--";
    levels_.resize(which + 1);   // parts that were never closed are closed with the one around them
    in_digest_ = levels_.back().digest;
    if (closing) levels_.pop_back();
    visitor_.structure(line);
    state_ = closing ? State::kBody : State::kHeader;
    entity_ = {};
    return true;
}

void EntityWalker::end_header(std::string_view blank) {
    const auto fields = parse_fields(header_);
    const Field* type = find_field(fields, "Content-Type");
    const Field* encoding = find_field(fields, "Content-Transfer-Encoding");
    std::string name = in_digest_ ? "message/rfc822" : "text/plain";
    std::string boundary;
    if (type) {
        const auto parsed = parse_parameterised(type->value);
        name = lower(token(parsed.value));
        boundary = parsed.parameter("boundary");
    }
    if (encoding) entity_.encoding = lower(token(unfold(encoding->value)));
    const bool room = levels_.size() < kMaxDepth && depth_ < kMaxDepth;
    entity_.kind = Entity::Kind::kLeaf;
    if (name.rfind("multipart/", 0) == 0 && !boundary.empty()) {
        entity_.kind = room ? Entity::Kind::kMultipart : Entity::Kind::kOpaque;
    } else if ((name == "message/rfc822" || name == "message/global") && !entity_.is_coded()) {
        entity_.kind = room ? Entity::Kind::kMessage : Entity::Kind::kOpaque;
    }
    if (entity_.kind == Entity::Kind::kLeaf) entity_.leaf = leaves_++;
    header_ += blank;
    const auto block = std::move(header_);
    header_.clear();
    visitor_.header(entity_, block);
    state_ = State::kBody;
    in_leaf_ = entity_.kind == Entity::Kind::kLeaf;
    if (entity_.kind == Entity::Kind::kMultipart) {
        levels_.push_back({std::move(boundary), name == "multipart/digest"});
    } else if (entity_.kind == Entity::Kind::kMessage && !blank.empty()) {
        ++depth_;
        in_digest_ = false;
        state_ = State::kHeader;
        entity_ = {};
    }
}

void EntityWalker::end_body() {
    if (in_leaf_) visitor_.body_end();
    in_leaf_ = false;
}

}   // namespace postcot::mime
