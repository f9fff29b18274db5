// THREAD (RFC 5256 §3): ORDEREDSUBJECT, REFERENCES, and REFS (REFERENCES without the subjects, by
// INTERNALDATE, threads by their latest message).
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "libmaildir/view.h"
#include "libproto/mime/charset.h"
#include "libproto/mime/envelope.h"

namespace postcot::maildir {

namespace {

constexpr int32_t kNone = -1;
constexpr size_t kMaxReferences = 200;   // of a message, its oldest and its nearest ancestors
constexpr size_t kMaxGathered = 10000;   // ... out of so many
constexpr int kMaxShownDepth = 500;      // deeper replies are shown as siblings: responses and their readers recurse
constexpr int kMaxWalk = 100000;

struct Node {
    uint32_t seq = 0;   // 0: a dummy
    int64_t date = 0;
    int32_t parent = kNone;
    int32_t group = 0;   // union-find: nodes of different groups cannot make a loop
    bool reply = false;
    std::string subject;
    std::vector<int32_t> children;
};

class Builder {
  public:
    std::vector<Node> nodes;

    int32_t add(Node node) {
        node.group = static_cast<int32_t>(nodes.size());
        nodes.push_back(std::move(node));
        return static_cast<int32_t>(nodes.size()) - 1;
    }

    int32_t by_id(const std::string& id) {
        auto [it, fresh] = ids_.try_emplace(id, 0);
        if (fresh) it->second = add(Node{});
        return it->second;
    }

    // RFC 5256 step 1 for one message; `id` empty: it has none.
    void message(Node node, const std::string& id, const std::vector<std::string>& references) {
        int32_t self;
        if (id.empty()) {
            self = add(std::move(node));
        } else {
            self = by_id(id);
            if (at(self).seq != 0) {   // a second message with this id stands for itself
                self = add(std::move(node));
            } else {
                Node& mine = at(self);
                mine.seq = node.seq;
                mine.date = node.date;
                mine.reply = node.reply;
                mine.subject = std::move(node.subject);
            }
        }
        int32_t parent = kNone;
        for (const std::string& reference : references) {   // (A)
            int32_t child = by_id(reference);
            if (parent != kNone && at(child).parent == kNone && child != parent) link(parent, child);
            parent = child;
        }
        if (parent == kNone || parent == self) return;   // (B)
        if (at(self).parent == parent) return;
        if (at(self).parent != kNone) unlink(self);
        link(parent, self);
    }

    void link(int32_t parent, int32_t child) {
        int32_t a = group(parent), b = group(child);
        if (a == b && reaches(child, parent)) return;   // would be a loop
        at(child).parent = parent;
        at(parent).children.push_back(child);
        at(a).group = b;
    }

    void unlink(int32_t child) {
        auto& siblings = at(at(child).parent).children;
        siblings.erase(std::find(siblings.begin(), siblings.end(), child));
        at(child).parent = kNone;
    }

    Node& at(int32_t i) { return nodes[static_cast<size_t>(i)]; }

  private:
    int32_t group(int32_t i) {
        while (at(i).group != i) {
            at(i).group = at(at(i).group).group;
            i = at(i).group;
        }
        return i;
    }
    bool reaches(int32_t ancestor, int32_t node) {
        for (int steps = 0; node != kNone; node = at(node).parent)
            if (node == ancestor || ++steps > kMaxWalk) return true;
        return false;
    }
    std::unordered_map<std::string, int32_t> ids_;
};

// Post-order without recursion: chains of references may be as long as the mailbox.
std::vector<int32_t> post_order(Builder& b, const std::vector<int32_t>& roots) {
    std::vector<int32_t> out, stack(roots);
    while (!stack.empty()) {
        int32_t i = stack.back();
        stack.pop_back();
        out.push_back(i);
        stack.insert(stack.end(), b.at(i).children.begin(), b.at(i).children.end());
    }
    std::reverse(out.begin(), out.end());
    return out;
}

// Step 3: dummies without children go; dummies with children are replaced by them (at the root only by a single one).
std::vector<int32_t> prune(Builder& b, const std::vector<int32_t>& roots) {
    std::vector<uint8_t> is_root(b.nodes.size(), 0);
    for (int32_t root : roots) is_root[static_cast<size_t>(root)] = 1;
    for (int32_t i : post_order(b, roots)) {
        std::vector<int32_t> kept;
        for (int32_t child : b.at(i).children) {
            Node& c = b.at(child);
            if (c.seq != 0) {
                kept.push_back(child);
            } else {
                for (int32_t grandchild : c.children) {
                    b.at(grandchild).parent = i;
                    kept.push_back(grandchild);
                }
            }
        }
        b.at(i).children = std::move(kept);
    }
    std::vector<int32_t> out;
    for (int32_t root : roots) {
        Node& r = b.at(root);
        if (r.seq != 0 || r.children.size() > 1) {
            out.push_back(root);
        } else if (r.children.size() == 1) {
            b.at(r.children[0]).parent = kNone;
            out.push_back(r.children[0]);
        }
    }
    return out;
}

void sort_siblings(Builder& b, std::vector<int32_t>& siblings) {
    std::sort(siblings.begin(), siblings.end(), [&](int32_t x, int32_t y) {
        const Node &p = b.at(x), &q = b.at(y);
        if (p.date != q.date) return p.date < q.date;
        uint32_t s = p.seq, t = q.seq;
        if (s == 0 && !p.children.empty()) s = b.at(p.children[0]).seq;
        if (t == 0 && !q.children.empty()) t = b.at(q.children[0]).seq;
        return s < t;
    });
}

// Steps 4 and 6: siblings by date; a dummy's date is its first child's.
void sort_all(Builder& b, std::vector<int32_t>& roots) {
    for (int32_t i : post_order(b, roots)) {
        Node& n = b.at(i);
        if (n.children.size() > 1) sort_siblings(b, n.children);
        if (n.seq == 0 && !n.children.empty()) n.date = b.at(n.children[0]).date;
    }
    sort_siblings(b, roots);
}

// Step 5: threads of one base subject are merged.
std::vector<int32_t> merge_subjects(Builder& b, const std::vector<int32_t>& roots) {
    auto subject_of = [&](int32_t i) -> const Node& {
        const Node& n = b.at(i);
        return n.seq == 0 && !n.children.empty() ? b.at(n.children[0]) : n;
    };
    std::unordered_map<std::string, int32_t> table;
    for (int32_t root : roots) {
        const Node& s = subject_of(root);
        if (s.subject.empty()) continue;
        auto [it, fresh] = table.try_emplace(s.subject, root);
        if (fresh) continue;
        bool old_dummy = b.at(it->second).seq == 0, dummy = b.at(root).seq == 0;
        if (!old_dummy && (dummy || (subject_of(it->second).reply && !s.reply))) it->second = root;
    }
    std::vector<uint8_t> merged(b.nodes.size(), 0);
    std::unordered_map<int32_t, int32_t> became;   // a root that was put under a new dummy
    std::vector<int32_t> added;
    for (int32_t root : roots) {
        const Node& s = subject_of(root);
        if (s.subject.empty()) continue;
        int32_t main = table[s.subject];
        if (main == root) continue;
        auto adopt = [&](int32_t parent, int32_t child) {
            b.at(child).parent = parent;
            b.at(parent).children.push_back(child);
        };
        bool main_dummy = b.at(main).seq == 0, dummy = b.at(root).seq == 0;
        merged[static_cast<size_t>(root)] = 1;
        if (main_dummy && dummy) {
            for (int32_t child : b.at(root).children) adopt(main, child);
            b.at(root).children.clear();
        } else if (main_dummy) {
            adopt(main, root);
        } else if (s.reply && !subject_of(main).reply) {
            adopt(main, root);
        } else {
            int32_t top = b.add(Node{});
            merged.resize(b.nodes.size(), 0);
            merged[static_cast<size_t>(main)] = 1;
            adopt(top, main);
            adopt(top, root);
            table[b.at(main).subject] = top;
            added.push_back(top);
        }
    }
    std::vector<int32_t> out;
    for (int32_t root : roots)
        if (!merged[static_cast<size_t>(root)]) out.push_back(root);
    for (int32_t top : added)
        if (!merged[static_cast<size_t>(top)]) out.push_back(top);
    return out;
}

// To the caller's form. Below kMaxShownDepth a whole subtree becomes a list of siblings.
ThreadNode convert(Builder& b, int32_t i, int depth) {
    ThreadNode out;
    out.message = SeqNum{b.at(i).seq};
    if (depth < kMaxShownDepth) {
        for (int32_t child : b.at(i).children) out.children.push_back(convert(b, child, depth + 1));
        return out;
    }
    std::vector<int32_t> all = post_order(b, b.at(i).children);
    for (auto it = all.rbegin(); it != all.rend(); ++it) out.children.push_back({SeqNum{b.at(*it).seq}, {}});
    return out;
}

std::vector<ThreadNode> by_subject(std::vector<Node>& messages) {
    std::sort(messages.begin(), messages.end(), [](const Node& x, const Node& y) {
        if (int c = x.subject.compare(y.subject); c != 0) return c < 0;
        return x.date != y.date ? x.date < y.date : x.seq < y.seq;
    });
    std::vector<std::pair<int64_t, ThreadNode>> threads;
    const Node* first = nullptr;
    for (const Node& m : messages) {
        if (!first || first->subject != m.subject) {
            threads.push_back({m.date, {SeqNum{m.seq}, {}}});
            first = &m;
        } else {
            threads.back().second.children.push_back({SeqNum{m.seq}, {}});
        }
    }
    std::stable_sort(threads.begin(), threads.end(), [](const auto& x, const auto& y) {
        return x.first != y.first ? x.first < y.first : x.second.message < y.second.message;
    });
    std::vector<ThreadNode> out;
    for (auto& [date, thread] : threads) out.push_back(std::move(thread));
    return out;
}

void append_node(std::string& out, const ThreadNode& node, const Mailbox* uids_of) {
    bool shown = node.message.value != 0;
    if (shown) out += fmt::format_int(uids_of ? uids_of->uid_of(node.message).value : node.message.value).c_str();
    if (node.children.empty()) return;
    if (shown) out += ' ';
    if (node.children.size() == 1 && shown) {
        append_node(out, node.children[0], uids_of);
        return;
    }
    for (const ThreadNode& child : node.children) {
        out += '(';
        append_node(out, child, uids_of);
        out += ')';
    }
}

}   // namespace

std::string thread_response(const std::vector<ThreadNode>& threads, const Mailbox* uids_of) {
    std::string out;
    for (const ThreadNode& thread : threads) {
        out += '(';
        append_node(out, thread, uids_of);
        out += ')';
    }
    return out;
}

Expected<std::vector<ThreadNode>> View::thread(const SearchKey& key, ThreadAlgorithm algorithm) {
    auto found = search(key);
    if (!found) return fail(found.error());
    struct Gathered {
        Node node;
        std::string id;
        std::vector<std::string> references;
        bool dated = false;
    };
    std::vector<Gathered> gathered;
    gathered.reserve(found->size());
    bool subjects = algorithm != ThreadAlgorithm::kRefs, references = algorithm != ThreadAlgorithm::kOrderedSubject;
    auto done = each_head(*found, [&](SeqNum seq, std::string_view head) {
        Gathered g;
        g.node.seq = seq.value;
        HeadStart start = head_start(head);
        g.dated = start.has_date != 0;
        g.node.date = start.sent;
        const mime::Field* in_reply_to = nullptr;
        std::vector<mime::Field> fields = mime::parse_fields(head_fields(head));
        for (const mime::Field& field : fields) {
            if (subjects && mime::iequals(field.name, "Subject")) {
                g.node.subject = mime::casemap(mime::base_subject(field.value, &g.node.reply));
            } else if (references && mime::iequals(field.name, "Message-ID")) {
                auto ids = mime::message_ids(field.value, 1);
                if (!ids.empty()) g.id = std::move(ids[0]);
            } else if (references && mime::iequals(field.name, "References")) {
                g.references = mime::message_ids(field.value, kMaxGathered);
                if (g.references.size() > kMaxReferences) {
                    const auto middle = g.references.begin() + kMaxReferences / 2;
                    g.references.erase(middle, g.references.end() - kMaxReferences / 2);
                }
            } else if (mime::iequals(field.name, "In-Reply-To")) {
                in_reply_to = &field;
            }
        }
        if (references && g.references.empty() && in_reply_to) g.references = mime::message_ids(in_reply_to->value, 1);
        gathered.push_back(std::move(g));
    });
    if (!done) return fail(done.error());
    std::sort(gathered.begin(), gathered.end(),
              [](const Gathered& a, const Gathered& b) { return a.node.seq < b.node.seq; });
    for (Gathered& g : gathered)
        if (!g.dated || algorithm == ThreadAlgorithm::kRefs) g.node.date = date_at(g.node.seq - 1).seconds;
    finish();

    if (algorithm == ThreadAlgorithm::kOrderedSubject) {
        std::vector<Node> messages;
        for (Gathered& g : gathered) messages.push_back(std::move(g.node));
        return by_subject(messages);
    }
    Builder b;
    b.nodes.reserve(gathered.size() * 2);
    for (Gathered& g : gathered) b.message(std::move(g.node), g.id, g.references);
    std::vector<int32_t> roots;
    for (size_t i = 0; i < b.nodes.size(); ++i)
        if (b.nodes[i].parent == kNone) roots.push_back(static_cast<int32_t>(i));
    roots = prune(b, roots);
    sort_all(b, roots);
    if (algorithm == ThreadAlgorithm::kReferences) {
        roots = merge_subjects(b, roots);
        sort_all(b, roots);
    } else {
        std::unordered_map<int32_t, int64_t> latest;
        for (int32_t root : roots)
            for (int32_t i : post_order(b, {root})) latest[root] = std::max(latest[root], b.at(i).date);
        std::stable_sort(roots.begin(), roots.end(), [&](int32_t x, int32_t y) { return latest[x] < latest[y]; });
    }
    std::vector<ThreadNode> out;
    for (int32_t root : roots) out.push_back(convert(b, root, 0));
    return out;
}

}   // namespace postcot::maildir
