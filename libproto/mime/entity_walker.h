// A message's MIME entities as its text streams by (RFC 2046 §5): each header whole, each body in pieces. LF line ends, constant memory: what is too
// deep, too long or too odd to be understood passes as a body of one piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postcot::mime {

struct Entity {
    enum class Kind : uint8_t {
        kMultipart,
        kMessage,   // message/rfc822, message/global: another header follows its own
        kLeaf,
        kOpaque,   // nothing is known of it: its header was too long, or it lies too deep
    };
    Kind kind = Kind::kLeaf;
    bool root = false;
    std::string encoding;   // Content-Transfer-Encoding, lower case; empty: not given
    // It has an encoding that gives 7-bit text; what one of an unknown name gives is not touched.
    bool is_coded() const {
        return !encoding.empty() && encoding != "7bit" && encoding != "8bit" && encoding != "binary";
    }
    size_t leaf = 0;   // of kLeaf: how many came before it
};

class EntityVisitor {
  public:
    virtual ~EntityVisitor() = default;
    // `block`: the fields and the empty line; without that line where a boundary or the end of the text came first.
    virtual void header(const Entity& entity, std::string_view block) = 0;
    // Boundary lines, what stands before the first and after the last of them, and bodies that are opaque.
    virtual void structure(std::string_view text) = 0;
    virtual void body(std::string_view text) = 0;   // of the last leaf
    virtual void body_end() = 0;
};

class EntityWalker {
  public:
    explicit EntityWalker(EntityVisitor& visitor) : visitor_(visitor) {}   // which neither it nor its visitor may leave
    EntityWalker(const EntityWalker&) = delete;
    EntityWalker& operator=(const EntityWalker&) = delete;
    void feed(std::string_view content);
    void finish();

  private:
    static constexpr size_t kMaxHeader = 256 * 1024;   // octets of one entity's header
    static constexpr size_t kMaxDepth = 100;           // Postfix's mime_nesting_limit
    static constexpr size_t kMaxBoundaryLine = 2048;

    enum class State : uint8_t { kHeader, kBody };
    struct Level {
        std::string boundary;
        bool digest = false;   // RFC 2046 §5.1.5: its parts are messages where they do not say
    };

    void take_line(std::string_view
                       line);   // with its LF, or the beginning of a line that is longer than any that means something
    void take_text(std::string_view text);
    bool take_boundary(std::string_view line);
    void end_header(std::string_view blank);
    void end_body();

    EntityVisitor& visitor_;
    State state_ = State::kHeader;
    std::vector<Level> levels_;
    Entity entity_{Entity::Kind::kLeaf, true, {}, 0};
    std::string header_;
    std::string partial_;     // a line cut by the end of a piece
    bool mid_line_ = false;   // the rest of a long line is only passed on
    bool in_leaf_ = false;
    bool in_digest_ = false;
    size_t leaves_ = 0;
    size_t depth_ = 0;   // of nested messages
};

}   // namespace postcot::mime
