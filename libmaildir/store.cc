#include "libmaildir/store.h"

#include <algorithm>
#include <map>

#include "libmaildir/append.h"
#include "libmaildir/layout.h"
#include "libmaildir/sidefiles.h"
#include "libmaildir/view.h"
#include "libproto/mime/header.h"

namespace postcot::maildir {

namespace {

tl::unexpected<Error> no_such(const std::string& name) {
    return fail(ENOENT, "NONEXISTENT", "Mailbox doesn't exist: " + name);
}

Expected<void> make_directories(Files& files, const std::string& path) {
    if (files.exists(path)) return {};
    size_t slash = path.rfind('/');
    if (slash != std::string::npos && slash > 0)
        if (auto made = make_directories(files, path.substr(0, slash)); !made) return made;
    auto made = files.mkdir(path, 0700);
    if (!made && made.error().code == EEXIST) return {};
    return made;
}

Expected<void> make_maildir(Files& files, const std::string& path) {
    if (auto made = make_directories(files, path); !made) return made;
    for (const char* name : {"/tmp", "/new", "/cur"})   // cur last: it says that the folder is whole
        if (auto made = make_directories(files, path + name); !made) return made;
    return {};
}

void remove_tree(Files& files, const std::string& path, int depth = 0) {
    auto names = files.list(path);
    if (names && depth < 30)
        for (const std::string& name : *names)
            if (!files.unlink(path + "/" + name)) remove_tree(files, path + "/" + name, depth + 1);
    (void)files.rmdir(path);
}

class Store final : public MailStore, public FolderSource {
  public:
    Store(StoreOptions options, Files& files) : options_(std::move(options)), files_(files) {}

    Expected<void> start() {
        if (options_.namespaces.empty()) options_.namespaces.emplace_back();
        for (const NamespaceConfig& space : options_.namespaces) {
            auto location =
                Location::parse(space.location.empty() ? options_.mail_location : space.location, options_.home);
            if (!location) return fail(location.error());
            locations_.push_back(std::move(*location));
        }
        for (size_t i = 0; i < options_.namespaces.size(); ++i) {
            if (!options_.namespaces[i].inbox) continue;
            inbox_space_ = i;
            Location& home = locations_[i];
            if (auto made = make_maildir(files_, home.inbox); !made) return made;
            if (auto made = make_directories(files_, home.root); !made) return made;
            if (auto made = make_directories(files_, home.control); !made) return made;
            if (!home.index.empty()) {
                if (home.index != home.root + "/postcot.index")
                    (void)make_directories(files_, home.index.substr(0, home.index.rfind('/')));
                auto index = Index::open(home.index, options_.max_index_bytes);
                if (index) index_ = *index;   // else (read-only, no space): everything is read from the Maildir
            }
        }
        for (size_t i = 0; i < options_.namespaces.size(); ++i) {
            for (const MailboxConfig& box : options_.namespaces[i].mailboxes) {
                if (box.auto_create == MailboxConfig::Auto::kNo) continue;
                std::string name = options_.namespaces[i].prefix + box.name;
                if (mime::iequals(box.name, "INBOX") && options_.namespaces[i].inbox) name = "INBOX";
                bool made = false;
                if (!exists(name)) made = static_cast<bool>(create(name, {}));
                if (made && box.auto_create == MailboxConfig::Auto::kSubscribe) (void)subscribe(name, true);
            }
        }
        return {};
    }

    const std::vector<NamespaceConfig>& namespaces() const override { return options_.namespaces; }
    bool hard_links() const override { return options_.copy_with_hardlinks; }

    Expected<std::vector<FolderInfo>> folders(bool subscribed_too) override;
    Expected<void> create(const std::string& name, const std::string& special_use) override;
    Expected<void> remove(const std::string& name) override;
    Expected<void> rename(const std::string& from, const std::string& to) override;
    Expected<void> subscribe(const std::string& name, bool on) override;
    bool exists(const std::string& name) override {
        auto place = find(name);
        return place && files_.exists(place->paths.directory + "/cur");
    }
    Expected<FolderStatus> status(const std::string& name, bool want_size) override;
    Expected<std::unique_ptr<Mailbox>> select(const std::string& name, Access access) override;
    Expected<std::unique_ptr<Append>> append(const std::string& name) override;
    Expected<std::shared_ptr<void>> lock_pop3_session() override {
        // Dovecot's name. A session may be idle for ten minutes before it ends.
        auto held = DotLock::acquire(files_, locations_[inbox_space_].control + "/dovecot-pop3-session",
                                     std::chrono::seconds(1), std::chrono::seconds(900));
        if (!held) return fail(held.error());
        return std::make_shared<DotLock>(std::move(*held));
    }
    void trim() override {
        for (auto it = open_.begin(); it != open_.end();) {
            it->second->flush_cache();
            it = it->second.use_count() == 1 ? open_.erase(it) : std::next(it);
        }
    }
    Expected<std::shared_ptr<Folder>> folder_named(const std::string& name) override;

  private:
    struct Place {
        size_t space = 0;
        std::vector<std::string> parts;   // empty: INBOX
        FolderPaths paths;
        bool inbox() const { return parts.empty(); }
    };
    Expected<Place> find(const std::string& name) const;
    std::string full_name(size_t space, const std::vector<std::string>& parts) const {
        if (parts.empty()) return "INBOX";
        std::string out = options_.namespaces[space].prefix;
        for (size_t i = 0; i < parts.size(); ++i) {
            if (i > 0) out += options_.namespaces[space].separator;
            out += parts[i];
        }
        return out;
    }
    std::string special_use(size_t space, const std::vector<std::string>& parts) const;
    std::vector<std::string> subscriptions();
    void forget(const std::string& directory);

    StoreOptions options_;
    Files& files_;
    std::vector<Location> locations_;   // of each namespace
    size_t inbox_space_ = 0;
    std::shared_ptr<Index> index_;
    std::map<std::string, std::shared_ptr<Folder>> open_;   // by directory
};

Expected<Store::Place> Store::find(const std::string& given) const {
    Place place;
    std::string name = given;
    if (mime::iequals(name, "INBOX")) {
        place.space = inbox_space_;
    } else {
        bool found = false;
        for (size_t i = 0; i < options_.namespaces.size(); ++i) {   // the longest prefix
            const std::string& prefix = options_.namespaces[i].prefix;
            bool matches = name.starts_with(prefix);
            // RFC 3501 §5.1: INBOX is case-insensitive, also as the first level of a prefix.
            if (!matches && prefix.size() > 5 && mime::iequals(prefix.substr(0, 5), "INBOX") &&
                name.size() >= prefix.size())
                matches =
                    mime::iequals(name.substr(0, 5), "INBOX") && name.substr(5, prefix.size() - 5) == prefix.substr(5);
            if (!matches || (found && prefix.size() <= options_.namespaces[place.space].prefix.size())) continue;
            place.space = i;
            found = true;
        }
        if (!found) return no_such(given);
        const NamespaceConfig& space = options_.namespaces[place.space];
        std::string rest = name.substr(space.prefix.size());
        if (rest.empty()) return no_such(given);
        place.parts = split_name(rest, space.separator);
        // RFC 3501 §5.1: names below INBOX begin with it in any case; they are kept in one, as Dovecot does.
        if (place.parts.size() > 1 && mime::iequals(place.parts[0], "INBOX")) place.parts[0] = "INBOX";
    }
    auto paths = locations_[place.space].paths(place.parts);
    if (!paths) return fail(paths.error());
    place.paths = std::move(*paths);
    return place;
}

std::string Store::special_use(size_t space, const std::vector<std::string>& parts) const {
    std::string name = full_name(space, parts).substr(parts.empty() ? 0 : options_.namespaces[space].prefix.size());
    for (const MailboxConfig& box : options_.namespaces[space].mailboxes)
        if (box.name == name) return box.special_use;
    return {};
}

std::vector<std::string> Store::subscriptions() {
    std::vector<std::string> out;
    for (size_t i = 0; i < options_.namespaces.size(); ++i) {
        if (!options_.namespaces[i].subscriptions) continue;
        const Location& location = locations_[i];
        auto names = read_subscriptions(files_, location.control + "/subscriptions", location.separator());
        if (!names) continue;
        for (const std::string& stored : *names) {
            auto parts = Location::parts_of(stored, location.separator());
            if (!parts) continue;
            bool inbox = parts->size() == 1 && mime::iequals((*parts)[0], "INBOX") && options_.namespaces[i].inbox;
            out.push_back(inbox ? "INBOX" : full_name(i, *parts));
        }
    }
    return out;
}

Expected<std::vector<FolderInfo>> Store::folders(bool subscribed_too) {
    // Sorted by level: the separator sorts before any character of a name.
    std::map<std::string, FolderInfo> all;
    auto key_of = [](std::string name, char separator) {
        std::replace(name.begin(), name.end(), separator, '\x01');
        if (name == "INBOX" || name.starts_with("INBOX\x01")) name.insert(0, 1, '\x01');
        return name;
    };
    auto add = [&](const std::string& name, size_t space, bool selectable, bool there) -> FolderInfo& {
        char separator = options_.namespaces[space].separator;
        auto [it, fresh] = all.try_emplace(key_of(name, separator));
        FolderInfo& info = it->second;
        if (fresh) {
            info.name = name;
            info.separator = separator;
            info.selectable = selectable;
            info.exists = there;
        }
        info.selectable = info.selectable || selectable;
        info.exists = info.exists || there;
        return info;
    };
    for (size_t i = 0; i < options_.namespaces.size(); ++i) {
        const NamespaceConfig& space = options_.namespaces[i];
        if (!space.list || space.hidden) continue;
        if (space.inbox) add("INBOX", i, true, true).special_use = special_use(i, {});
        auto found = locations_[i].list(files_);
        if (!found) continue;
        for (const auto& parts : *found) {
            std::string name = full_name(i, parts);
            if (mime::iequals(name, "INBOX")) continue;
            FolderInfo& info = add(name, i, true, true);
            info.special_use = special_use(i, parts);
            if (auto paths = locations_[i].paths(parts); paths && index_) {
                auto record = index_->folder(paths->directory);
                auto status = files_.stat(paths->directory + "/new");
                info.marked = status && record && (DirMark::of(*status) != record->fresh || record->recent > 0);
            }
            for (size_t at = name.find(space.separator); at != std::string::npos;
                 at = name.find(space.separator, at + 1))
                if (at > 0) add(name.substr(0, at), i, false, true).has_children = true;
        }
    }
    for (const std::string& name : subscriptions()) {
        auto place = find(name);
        size_t space = place ? place->space : inbox_space_;
        auto it = all.find(key_of(name, options_.namespaces[space].separator));
        if (it != all.end()) {
            it->second.subscribed = true;
        } else if (subscribed_too) {
            add(name, space, false, false).subscribed = true;
        }
    }
    std::vector<FolderInfo> out;
    out.reserve(all.size());
    for (auto& [key, info] : all) out.push_back(std::move(info));
    return out;
}

Expected<void> Store::create(const std::string& given, const std::string& use) {
    std::string name = given;
    if (name.empty()) return fail(EINVAL, "CANNOT", "Mailbox name is empty");
    auto ends_in_separator = [&] {
        return std::any_of(options_.namespaces.begin(), options_.namespaces.end(),
                           [&](const NamespaceConfig& n) { return name.ends_with(n.separator); });
    };
    if (name.size() > 1 && ends_in_separator()) name.pop_back();   // RFC 3501 §6.3.3: "with children to come"
    auto place = find(name);
    if (!place) return fail(place.error());
    if (files_.exists(place->paths.directory + "/cur"))
        return fail(EEXIST, "ALREADYEXISTS", "Mailbox already exists: " + name);
    if (!use.empty() && special_use(place->space, place->parts) != use)
        return fail(EINVAL, "USEATTR", "Special use is set in the server's configuration");
    const bool was_there = files_.exists(place->paths.directory);
    if (auto made = make_maildir(files_, place->paths.directory); !made) {
        if (!was_there) remove_tree(files_, place->paths.directory);
        return made;
    }
    const Location& location = locations_[place->space];
    if (location.layout == Location::Layout::kMaildirPlusPlus && !place->inbox())
        (void)files_.open(place->paths.directory + "/maildirfolder", Open::kReadWrite, 0600);
    if (place->paths.control != place->paths.directory)
        if (auto made = make_directories(files_, place->paths.control); !made) return made;
    return files_.sync_dir(location.root);
}

void Store::forget(const std::string& directory) { open_.erase(directory); }

Expected<void> Store::remove(const std::string& name) {
    auto place = find(name);
    if (!place) return fail(place.error());
    if (place->inbox()) return fail(EPERM, "CANNOT", "INBOX can't be deleted");
    if (!files_.exists(place->paths.directory)) return no_such(name);
    const Location& location = locations_[place->space];
    forget(place->paths.directory);
    std::vector<std::string> directories{place->paths.directory};
    if (place->paths.control != place->paths.directory) directories.push_back(place->paths.control);
    for (const std::string& directory : directories) {
        if (!files_.exists(directory)) continue;
        // One rename makes it vanish; emptying it may take long. Dovecot's name for it: whoever finds it after a crash deletes it.
        std::string trash =
            (directory == place->paths.directory ? location.root : location.control) + "/..DOVECOT-TRASHED";
        if (location.layout == Location::Layout::kFs) {   // children are inside: they stay
            if (!files_.exists(directory + "/cur") && directory == place->paths.directory) return no_such(name);
            auto names = files_.list(directory);
            if (!names) return fail(names.error());
            for (const std::string& entry : *names) {
                std::string path = directory + "/" + entry;
                if (entry == "cur" || entry == "new" || entry == "tmp") {
                    remove_tree(files_, path);
                } else {
                    (void)files_.unlink(path);
                }
            }
            (void)files_.rmdir(directory);
            continue;
        }
        auto renamed = files_.rename(directory, trash);
        if (!renamed && (renamed.error().code == ENOTEMPTY || renamed.error().code == EEXIST)) {
            remove_tree(files_, trash);
            renamed = files_.rename(directory, trash);
        }
        if (!renamed) return renamed;
        remove_tree(files_, trash);
    }
    if (index_) {
        Index::Write write(*index_);
        write.erase_folder(place->paths.directory);
        (void)write.commit();
    }
    return files_.sync_dir(location.root);
}

Expected<void> Store::rename(const std::string& from, const std::string& to) {
    auto source = find(from);
    if (!source) return fail(source.error());
    auto target = find(to);
    if (!target) return fail(target.error());
    if (target->inbox() || files_.exists(target->paths.directory))
        return fail(EEXIST, "ALREADYEXISTS", "Target mailbox already exists");
    if (source->inbox()) {   // RFC 3501 §6.3.5: INBOX stays, its messages go
        if (auto made = create(to, {}); !made) return made;
        auto inbox = select(from, Access::kReadWrite);
        if (!inbox) return fail(inbox.error());
        std::vector<SeqNum> all;
        for (uint32_t i = 1; i <= (*inbox)->exists(); ++i) all.push_back(SeqNum{i});
        auto moved = (*inbox)->move(all, to);
        if (!moved) return fail(moved.error());
        return {};
    }
    const Location& location = locations_[source->space];
    if (locations_[target->space].root != location.root || locations_[target->space].layout != location.layout)
        return fail(EXDEV, "CANNOT", "Renaming not supported across namespaces");
    if (target->parts.size() > source->parts.size() &&
        std::equal(source->parts.begin(), source->parts.end(), target->parts.begin()))
        return fail(EINVAL, "CANNOT", "Can't rename a mailbox under itself");
    // The folder and all below it.
    auto list = location.list(files_);
    if (!list) return fail(list.error());
    std::vector<std::pair<FolderPaths, FolderPaths>> moves;
    for (const auto& parts : *list) {
        if (parts.size() < source->parts.size() ||
            !std::equal(source->parts.begin(), source->parts.end(), parts.begin()))
            continue;
        std::vector<std::string> renamed(target->parts);
        renamed.insert(renamed.end(), parts.begin() + static_cast<std::ptrdiff_t>(source->parts.size()), parts.end());
        auto old_paths = location.paths(parts), new_paths = location.paths(renamed);
        if (!old_paths) return fail(old_paths.error());
        if (!new_paths) return fail(new_paths.error());
        if (location.layout == Location::Layout::kMaildirPlusPlus && files_.exists(new_paths->directory))
            return fail(EEXIST, "ALREADYEXISTS", "Target mailbox already exists");
        moves.emplace_back(std::move(*old_paths), std::move(*new_paths));
    }
    if (moves.empty()) return no_such(from);
    auto move_directory = [&](const std::string& a, const std::string& b) -> Expected<void> {
        if (location.layout == Location::Layout::kFs)
            if (auto made = make_directories(files_, b.substr(0, b.rfind('/'))); !made) return made;
        return files_.rename(a, b);
    };
    if (location.layout == Location::Layout::kFs) {
        if (auto done = move_directory(source->paths.directory, target->paths.directory); !done) return done;
        if (source->paths.control != source->paths.directory && files_.exists(source->paths.control))
            if (auto done = move_directory(source->paths.control, target->paths.control); !done) return done;
    } else {
        for (const auto& [a, b] : moves) {
            if (auto done = move_directory(a.directory, b.directory); !done) return done;
            if (a.control != a.directory && files_.exists(a.control))
                if (auto done = move_directory(a.control, b.control); !done) return done;
        }
    }
    for (const auto& [a, b] : moves) forget(a.directory);
    if (index_) {
        Index::Write write(*index_);
        for (const auto& [a, b] : moves) write.move_folder(a.directory, b.directory);
        (void)write.commit();
    }
    return files_.sync_dir(location.root);
}

Expected<void> Store::subscribe(const std::string& name, bool on) {
    auto place = find(name);
    if (!place) return fail(place.error());
    // The namespace itself, or the nearest one around it that keeps a subscriptions file.
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < options_.namespaces.size(); ++i) {
        const NamespaceConfig& space = options_.namespaces[i];
        if (!space.subscriptions || !(i == place->space || name.starts_with(space.prefix))) continue;
        if (best == SIZE_MAX || space.prefix.size() > options_.namespaces[best].prefix.size()) best = i;
    }
    if (best == SIZE_MAX) return fail(EPERM, "CANNOT", "No subscriptions here");
    const Location& location = locations_[best];
    std::vector<std::string> parts = place->parts;
    if (place->inbox()) {
        parts = {"INBOX"};
    } else if (best != place->space) {
        parts = split_name(name.substr(options_.namespaces[best].prefix.size()), options_.namespaces[best].separator);
    }
    auto stored = Location::stored_name(parts, location.separator());
    if (!stored) return fail(stored.error());
    return set_subscribed(files_, location.control + "/subscriptions", location.separator(), *stored, on);
}

Expected<std::shared_ptr<Folder>> Store::folder_named(const std::string& name) {
    auto place = find(name);
    if (!place) return fail(place.error());
    auto it = open_.find(place->paths.directory);
    if (it != open_.end()) return it->second;
    if (!files_.exists(place->paths.directory + "/cur")) {
        if (!files_.exists(place->paths.directory)) return no_such(name);
        // A folder made by hand or by another program lacks what its first delivery would have made.
        if (auto made = make_maildir(files_, place->paths.directory); !made) return fail(made.error());
    }
    if (!files_.exists(place->paths.control)) (void)make_directories(files_, place->paths.control);
    auto folder = std::make_shared<Folder>(files_, place->paths, index_);
    open_.emplace(place->paths.directory, folder);
    return folder;
}

Expected<FolderStatus> Store::status(const std::string& name, bool want_size) {
    auto place = find(name);
    if (!place) return fail(place.error());
    bool was_open = open_.contains(place->paths.directory);
    auto folder = folder_named(name);
    if (!folder) return fail(folder.error());
    std::optional<FolderRecord> record;
    if (!want_size) record = (*folder)->unchanged_record();
    FolderStatus out;
    if (!record) {
        auto refreshed = (*folder)->refresh(false);
        if (!refreshed) return fail(refreshed.error());
        record = (*folder)->record();
        if (want_size) {
            View view(*this, *folder, name, true);
            for (size_t i = 0; i < view.size(); ++i)
                if (auto size = view.size_at(i)) out.size += *size;
        }
    }
    out.messages = record->messages;
    out.recent = record->recent;
    out.unseen = record->unseen;
    out.deleted = record->deleted;
    out.uid_next = Uid{record->next_uid};
    out.uid_validity = record->uid_validity;
    out.highest_modseq = ModSeq{record->highest_modseq};
    if (!was_open) open_.erase(place->paths.directory);
    return out;
}

Expected<std::unique_ptr<Mailbox>> Store::select(const std::string& name, Access access) {
    auto folder = folder_named(name);
    if (!folder) return fail(folder.error());
    auto refreshed = (*folder)->refresh(access == Access::kReadWrite);
    if (!refreshed) {
        if (refreshed.error().enhanced == "NONEXISTENT") {
            auto place = find(name);
            if (place) open_.erase(place->paths.directory);
        }
        return fail(refreshed.error());
    }
    return std::make_unique<View>(*this, *folder, name, access == Access::kReadOnly);
}

Expected<std::unique_ptr<Append>> Store::append(const std::string& name) {
    auto folder = folder_named(name);
    if (!folder) {
        Error error = folder.error();
        if (error.enhanced == "NONEXISTENT") error.enhanced = "TRYCREATE";
        return fail(error);
    }
    return std::make_unique<FolderAppend>(*folder, options_.fsync_on_save);
}

}   // namespace

Expected<std::unique_ptr<MailStore>> MailStore::open(StoreOptions options, Files& files) {
    auto store = std::make_unique<Store>(std::move(options), files);
    if (auto started = store->start(); !started) return fail(started.error());
    return store;
}

}   // namespace postcot::maildir
