#include "tests/crash/sim_files.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <set>

namespace postcot {

namespace {

constexpr size_t kSector = 512;

// One change of a file since its last sync.
struct Change {
    bool truncation = false;
    uint64_t offset = 0;   // or the new length
    std::string data;
};

void apply_change(std::string& content, const Change& change) {
    if (change.truncation) {
        content.resize(change.offset);
        return;
    }
    if (content.size() < change.offset + change.data.size()) content.resize(change.offset + change.data.size());
    content.replace(change.offset, change.data.size(), change.data);
}

struct Node {
    bool directory = false;
    mode_t mode = 0;
    uint64_t inode = 0;
    uint64_t changed = 0;   // logical time
    std::string content;
    std::string durable;
    std::vector<Change> unsynced;
    std::map<std::string, std::shared_ptr<Node>> entries;
    std::map<std::string, std::shared_ptr<Node>> durable_entries;
};
using NodePtr = std::shared_ptr<Node>;

// A change of names. It is one whole: a rename between folders happens in both or in none.
struct NameChange {
    NodePtr node;
    NodePtr from, to;   // folders; either may be null
    std::string from_name, to_name;

    void apply(std::map<std::string, NodePtr> Node::*entries) const {
        if (from) {
            auto& names = (*from).*entries;
            auto found = names.find(from_name);
            // Of a name that something else took meanwhile (a creation was lost), nothing is removed.
            if (found != names.end() && found->second == node) names.erase(found);
        }
        if (to) ((*to).*entries)[to_name] = node;
    }
    const NodePtr& folder() const { return to ? to : from; }
};

}   // namespace

struct SimFiles::State {
    mutable std::mutex mutex;
    NodePtr root;
    std::vector<NameChange> unsynced_names;   // in order
    uint64_t operations = 0;
    uint64_t last_inode = 1;
    uint64_t clock = 0;
    bool limited = false;
    bool partial = false;
    uint64_t left = 0;
    bool crashed = false;
    std::optional<uint64_t> capacity;   // octets of all files

    uint64_t used() const {
        uint64_t total = 0;
        std::set<const Node*> seen;
        std::vector<const Node*> todo = {root.get()};
        while (!todo.empty()) {
            const Node* node = todo.back();
            todo.pop_back();
            if (!seen.insert(node).second) continue;
            total += node->content.size();
            for (const auto& [name, child] : node->entries) todo.push_back(child.get());
        }
        return total;
    }
    NodePtr make_node(bool directory, mode_t mode) {
        auto node = std::make_shared<Node>();
        node->directory = directory;
        node->mode = mode & 07777;
        node->inode = ++last_inode;
        node->changed = ++clock;
        return node;
    }

    Expected<void> alive() const {
        if (crashed) return fail_errno(EIO, "crashed");
        return {};
    }
    // Admits one changing operation.
    Expected<void> step() {
        if (crashed) return fail_errno(EIO, "crashed");
        if (limited && left == 0) {
            crashed = true;
            return fail_errno(EIO, "crash point");
        }
        if (limited) --left;
        ++operations;
        return {};
    }

    static std::vector<std::string> split(const std::string& path) {
        std::vector<std::string> parts;
        size_t at = 0;
        while (at < path.size()) {
            size_t slash = std::min(path.find('/', at), path.size());
            std::string part = path.substr(at, slash - at);
            if (!part.empty() && part != ".") parts.push_back(std::move(part));
            at = slash + 1;
        }
        return parts;
    }
    Expected<NodePtr> find(const std::string& path) const {
        NodePtr node = root;
        for (const auto& part : split(path)) {
            if (!node->directory) return fail_errno(ENOTDIR, path);
            auto found = node->entries.find(part);
            if (found == node->entries.end()) return fail_errno(ENOENT, path);
            node = found->second;
        }
        return node;
    }
    // The folder of a path and its last name.
    Expected<std::pair<NodePtr, std::string>> find_parent(const std::string& path) const {
        auto parts = split(path);
        if (parts.empty()) return fail_errno(EINVAL, path);
        std::string name = parts.back();
        parts.pop_back();
        NodePtr node = root;
        for (const auto& part : parts) {
            auto found = node->entries.find(part);
            if (found == node->entries.end()) return fail_errno(ENOENT, path);
            node = found->second;
            if (!node->directory) return fail_errno(ENOTDIR, path);
        }
        return std::pair(node, name);
    }
    void change(NameChange change) {
        change.apply(&Node::entries);
        if (change.from) change.from->changed = ++clock;
        if (change.to) change.to->changed = ++clock;
        unsynced_names.push_back(std::move(change));
    }
    void make_durable(const NodePtr& folder) {
        std::vector<NameChange> later;
        for (auto& change : unsynced_names) {
            if (change.folder() == folder) {
                change.apply(&Node::durable_entries);
            } else {
                later.push_back(std::move(change));
            }
        }
        unsynced_names = std::move(later);
    }
};

namespace {

class SimFile final : public File {
  public:
    SimFile(std::shared_ptr<SimFiles::State> state, NodePtr node) : state_(std::move(state)), node_(std::move(node)) {}

    Expected<size_t> read_at(char* buffer, size_t length, uint64_t offset) override {
        std::lock_guard lock(state_->mutex);
        if (auto alive = state_->alive(); !alive) return fail(alive.error());
        if (offset >= node_->content.size()) return size_t{0};
        size_t n = std::min<size_t>(length, node_->content.size() - static_cast<size_t>(offset));
        std::copy_n(node_->content.data() + offset, n, buffer);
        return n;
    }
    Expected<void> append(std::string_view data) override {
        std::lock_guard lock(state_->mutex);
        return write(data, node_->content.size());
    }
    Expected<void> write_at(std::string_view data, uint64_t offset) override {
        std::lock_guard lock(state_->mutex);
        return write(data, offset);
    }
    Expected<void> sync_data() override { return sync(); }
    Expected<void> sync() override {
        std::lock_guard lock(state_->mutex);
        if (auto step = state_->step(); !step) return step;
        node_->durable = node_->content;
        node_->unsynced.clear();
        return {};
    }
    Expected<void> truncate(uint64_t length) override {
        std::lock_guard lock(state_->mutex);
        if (auto step = state_->step(); !step) return step;
        record({true, length, {}});
        return {};
    }
    Expected<uint64_t> size() override {
        std::lock_guard lock(state_->mutex);
        if (auto alive = state_->alive(); !alive) return fail(alive.error());
        return node_->content.size();
    }
    int fd() const override { return -1; }

  private:
    Expected<void> write(std::string_view data, uint64_t offset) {
        bool was_alive = !state_->crashed;
        auto step = state_->step();
        if (!step && was_alive && state_->partial)
            record({false, offset, std::string(data.substr(0, data.size() / 2))});
        if (!step) return step;
        if (state_->capacity && offset + data.size() > node_->content.size()) {
            const uint64_t free = *state_->capacity - std::min(*state_->capacity, state_->used());
            const uint64_t fits = node_->content.size() + free - std::min<uint64_t>(offset, node_->content.size() + free);
            if (fits < data.size()) {
                if (fits > 0) record({false, offset, std::string(data.substr(0, fits))});
                return fail_errno(ENOSPC, "write");
            }
        }
        record({false, offset, std::string(data)});
        return {};
    }
    void record(Change change) {
        apply_change(node_->content, change);
        node_->changed = ++state_->clock;
        node_->unsynced.push_back(std::move(change));
    }
    std::shared_ptr<SimFiles::State> state_;
    NodePtr node_;
};

// ---- what power loss leaves

class Survivor {
  public:
    Survivor(Loss loss, uint64_t seed) : loss_(loss), random_(seed) {}

    std::string content(const Node& node) {
        if (loss_ == Loss::kNothing) return node.content;
        std::string result = node.durable;
        if (loss_ == Loss::kAll || node.unsynced.empty()) return result;
        if (loss_ == Loss::kPrefix) {
            size_t keep = pick(node.unsynced.size() + 1);
            for (size_t i = 0; i < keep; ++i) apply_change(result, node.unsynced[i]);
            // The write after the prefix may be there in part.
            if (keep < node.unsynced.size() && !node.unsynced[keep].truncation) {
                Change part = node.unsynced[keep];
                part.data.resize(pick(part.data.size() + 1));
                apply_change(result, part);
            }
            return result;
        }
        // Torn: the length is one the file had; each sector is as at some moment, or zero where nothing was ever written.
        std::vector<std::string> moments = {node.durable};
        for (const auto& change : node.unsynced) {
            moments.push_back(moments.back());
            apply_change(moments.back(), change);
        }
        result.assign(moments[pick(moments.size())].size(), '\0');
        for (size_t at = 0; at < result.size(); at += kSector) {
            const std::string& moment = moments[pick(moments.size())];
            size_t end = std::min({at + kSector, result.size(), moment.size()});
            if (at < end)
                std::copy(moment.begin() + static_cast<long>(at), moment.begin() + static_cast<long>(end),
                          result.begin() + static_cast<long>(at));
        }
        return result;
    }
    size_t prefix(size_t count) {
        if (loss_ == Loss::kNothing) return count;
        if (loss_ == Loss::kAll) return 0;
        return loss_ == Loss::kTorn ? count : pick(count + 1);
    }
    bool keeps_name() { return loss_ != Loss::kTorn || pick(2) == 0; }

  private:
    size_t pick(size_t below) { return static_cast<size_t>(random_() % below); }
    Loss loss_;
    std::mt19937_64 random_;
};

}   // namespace

SimFiles::SimFiles() : state_(std::make_shared<State>()) { state_->root = state_->make_node(true, 0755); }
SimFiles::SimFiles(std::shared_ptr<State> state) : state_(std::move(state)) {}
SimFiles::~SimFiles() = default;

uint64_t SimFiles::operations() const {
    std::lock_guard lock(state_->mutex);
    return state_->operations;
}

void SimFiles::crash_after(uint64_t count, bool partial) {
    std::lock_guard lock(state_->mutex);
    state_->limited = true;
    state_->left = count;
    state_->partial = partial;
}

void SimFiles::set_room(uint64_t octets) {
    std::lock_guard lock(state_->mutex);
    state_->capacity = state_->used() + octets;
}

void SimFiles::set_room_unlimited() {
    std::lock_guard lock(state_->mutex);
    state_->capacity.reset();
}

bool SimFiles::crashed() const {
    std::lock_guard lock(state_->mutex);
    return state_->crashed;
}

void SimFiles::sync_everything() {
    std::lock_guard lock(state_->mutex);
    for (const auto& change : state_->unsynced_names) change.apply(&Node::durable_entries);
    state_->unsynced_names.clear();
    std::vector<NodePtr> todo = {state_->root};
    while (!todo.empty()) {
        NodePtr node = todo.back();
        todo.pop_back();
        node->durable = node->content;
        node->unsynced.clear();
        for (const auto& [name, child] : node->entries) todo.push_back(child);
    }
}

std::unique_ptr<SimFiles> SimFiles::after(Loss loss, uint64_t seed) const {
    std::lock_guard lock(state_->mutex);
    Survivor survivor(loss, seed);
    auto fresh = std::make_shared<State>();
    fresh->last_inode = state_->last_inode;
    fresh->clock = state_->clock + 1000;

    // Copies of all nodes, their names as the disk has them.
    std::map<Node*, NodePtr> copies;
    std::vector<NodePtr> todo = {state_->root};
    for (const auto& change : state_->unsynced_names) {
        for (const auto& node : {change.node, change.from, change.to}) {
            if (node) todo.push_back(node);
        }
    }
    std::vector<NodePtr> originals;
    while (!todo.empty()) {
        NodePtr node = todo.back();
        todo.pop_back();
        if (!copies.emplace(node.get(), nullptr).second) continue;
        originals.push_back(node);
        for (const auto& [name, child] : node->durable_entries) todo.push_back(child);
        for (const auto& [name, child] : node->entries) todo.push_back(child);
    }
    std::sort(originals.begin(), originals.end(), [](const auto& a, const auto& b) { return a->inode < b->inode; });
    for (const auto& node : originals) {
        auto copy = std::make_shared<Node>();
        copy->directory = node->directory;
        copy->mode = node->mode;
        copy->inode = node->inode;
        copy->changed = node->changed;
        copy->content = copy->durable = survivor.content(*node);
        copies[node.get()] = copy;
    }
    auto copy_of = [&](const NodePtr& node) { return node ? copies.at(node.get()) : nullptr; };
    for (const auto& node : originals) {
        for (const auto& [name, child] : node->durable_entries) copy_of(node)->entries[name] = copy_of(child);
    }
    size_t keep = survivor.prefix(state_->unsynced_names.size());
    for (size_t i = 0; i < keep; ++i) {
        if (!survivor.keeps_name()) continue;
        NameChange change = state_->unsynced_names[i];
        change.node = copy_of(change.node);
        change.from = copy_of(change.from);
        change.to = copy_of(change.to);
        change.apply(&Node::entries);
    }
    for (const auto& [original, copy] : copies) copy->durable_entries = copy->entries;
    fresh->root = copy_of(state_->root);
    return std::unique_ptr<SimFiles>(new SimFiles(std::move(fresh)));
}

// ---- Files

Expected<std::unique_ptr<File>> SimFiles::open(const std::string& path, Open how, mode_t mode) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return fail(alive.error());
    auto place = state_->find_parent(path);
    if (!place) return fail(place.error());
    auto& [folder, name] = *place;
    auto found = folder->entries.find(name);
    if (found == folder->entries.end()) {
        if (how == Open::kRead) return fail_errno(ENOENT, "open " + path);
        if (auto step = state_->step(); !step) return fail(step.error());
        NodePtr node = state_->make_node(false, mode);
        state_->change({node, nullptr, folder, "", name});
        return std::make_unique<SimFile>(state_, node);
    }
    NodePtr node = found->second;
    if (how == Open::kCreateNew) return fail_errno(EEXIST, "open " + path);
    if (node->directory) return fail_errno(EISDIR, "open " + path);
    auto file = std::make_unique<SimFile>(state_, node);
    if (how == Open::kTruncate) {
        if (auto step = state_->step(); !step) return fail(step.error());
        node->content.clear();
        node->unsynced.push_back({true, 0, {}});
        node->changed = ++state_->clock;
    }
    return file;
}

Expected<void> SimFiles::rename(const std::string& from, const std::string& to) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto source = state_->find_parent(from);
    if (!source) return fail(source.error());
    auto target = state_->find_parent(to);
    if (!target) return fail(target.error());
    auto found = source->first->entries.find(source->second);
    if (found == source->first->entries.end()) return fail_errno(ENOENT, "rename " + from);
    NodePtr node = found->second;
    auto replaced = target->first->entries.find(target->second);
    if (replaced != target->first->entries.end()) {
        if (replaced->second == node) return {};   // rename(2): the same file, nothing is done
        if (replaced->second->directory && !node->directory) return fail_errno(EISDIR, "rename " + to);
        if (!replaced->second->directory && node->directory) return fail_errno(ENOTDIR, "rename " + to);
        if (!replaced->second->entries.empty()) return fail_errno(ENOTEMPTY, "rename " + to);
    }
    if (auto step = state_->step(); !step) return step;
    state_->change({node, source->first, target->first, source->second, target->second});
    return {};
}

Expected<void> SimFiles::link(const std::string& from, const std::string& to) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto node = state_->find(from);
    if (!node) return fail(node.error());
    auto target = state_->find_parent(to);
    if (!target) return fail(target.error());
    if ((*node)->directory) return fail_errno(EPERM, "link " + from);
    if (target->first->entries.count(target->second)) return fail_errno(EEXIST, "link " + to);
    if (auto step = state_->step(); !step) return step;
    state_->change({*node, nullptr, target->first, "", target->second});
    return {};
}

Expected<void> SimFiles::unlink(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto place = state_->find_parent(path);
    if (!place) return fail(place.error());
    auto found = place->first->entries.find(place->second);
    if (found == place->first->entries.end()) return fail_errno(ENOENT, "unlink " + path);
    if (found->second->directory) return fail_errno(EISDIR, "unlink " + path);
    if (auto step = state_->step(); !step) return step;
    state_->change({found->second, place->first, nullptr, place->second, ""});
    return {};
}

Expected<void> SimFiles::mkdir(const std::string& path, mode_t mode) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto place = state_->find_parent(path);
    if (!place) return fail(place.error());
    if (place->first->entries.count(place->second)) return fail_errno(EEXIST, "mkdir " + path);
    if (auto step = state_->step(); !step) return step;
    state_->change({state_->make_node(true, mode), nullptr, place->first, "", place->second});
    return {};
}

Expected<void> SimFiles::rmdir(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto place = state_->find_parent(path);
    if (!place) return fail(place.error());
    auto found = place->first->entries.find(place->second);
    if (found == place->first->entries.end()) return fail_errno(ENOENT, "rmdir " + path);
    if (!found->second->directory) return fail_errno(ENOTDIR, "rmdir " + path);
    if (!found->second->entries.empty()) return fail_errno(ENOTEMPTY, "rmdir " + path);
    if (auto step = state_->step(); !step) return step;
    state_->change({found->second, place->first, nullptr, place->second, ""});
    return {};
}

Expected<void> SimFiles::sync_dir(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return alive;
    auto node = state_->find(path);
    if (!node) return fail(node.error());
    if (!(*node)->directory) return fail_errno(ENOTDIR, "fsync " + path);
    if (auto step = state_->step(); !step) return step;
    state_->make_durable(*node);
    return {};
}

Expected<std::vector<std::string>> SimFiles::list(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return fail(alive.error());
    auto node = state_->find(path);
    if (!node) return fail(node.error());
    if (!(*node)->directory) return fail_errno(ENOTDIR, "opendir " + path);
    std::vector<std::string> names;
    for (const auto& [name, child] : (*node)->entries) names.push_back(name);
    return names;
}

Expected<struct stat> SimFiles::stat(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    if (auto alive = state_->alive(); !alive) return fail(alive.error());
    auto node = state_->find(path);
    if (!node) return fail(node.error());
    struct stat status {};
    status.st_mode = ((*node)->directory ? S_IFDIR : S_IFREG) | (*node)->mode;
    status.st_ino = (*node)->inode;
    status.st_size = static_cast<off_t>((*node)->content.size());
    status.st_nlink = 1;
    // Every change has a time of its own.
    constexpr time_t kEpoch = 1700000000;
    status.st_mtim.tv_sec = kEpoch + static_cast<time_t>((*node)->changed / 1000);
    status.st_mtim.tv_nsec = static_cast<long>((*node)->changed % 1000) * 1000000;
    status.st_ctim = status.st_atim = status.st_mtim;
    return status;
}

bool SimFiles::exists(const std::string& path) {
    std::lock_guard lock(state_->mutex);
    return !state_->crashed && state_->find(path).has_value();
}

uint64_t for_each_crash(const std::function<void(SimFiles&)>& prepare, const std::function<void(SimFiles&)>& work,
                        const std::function<void(SimFiles&, uint64_t, Loss)>& check, unsigned seeds) {
    uint64_t disks = 0;
    for (uint64_t operations = 0;; ++operations) {
        bool ended = false;
        for (bool partial : {false, true}) {
            SimFiles files;
            prepare(files);
            files.sync_everything();
            files.crash_after(operations, partial);
            work(files);
            ended = !files.crashed();
            for (Loss loss : {Loss::kNothing, Loss::kAll, Loss::kPrefix, Loss::kTorn}) {
                bool random = loss == Loss::kPrefix || loss == Loss::kTorn;
                for (unsigned seed = 0; seed < (random ? seeds : 1); ++seed) {
                    auto survivor = files.after(loss, operations * 1000 + seed);
                    check(*survivor, operations, loss);
                    ++disks;
                }
            }
        }
        if (ended) return disks;
    }
}

}   // namespace postcot
