#include "queued/local/maildir_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "queued/local/maildir_name.h"

namespace postcot::queued {

// A few threads that run fn(0..n-1) and are waited for.
class MaildirWriter::Pool {
  public:
    explicit Pool(int threads) {
        for (int i = 1; i < threads; ++i) threads_.emplace_back([this] { work(); });
    }
    ~Pool() {
        {
            std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_all();
        for (auto& thread : threads_) thread.join();
    }

    template <class Fn>
    void run(size_t count, Fn fn) {
        if (threads_.empty() || count < 2) {
            for (size_t i = 0; i < count; ++i) fn(i);
            return;
        }
        std::atomic<size_t> next{0};
        std::function<void()> job = [&] {
            for (size_t i = next++; i < count; i = next++) fn(i);
        };
        {
            std::lock_guard lock(mutex_);
            job_ = &job;
            ++round_;
            helpers_ = std::min(threads_.size(), count - 1);
            running_ = helpers_;
        }
        wake_.notify_all();
        job();
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return running_ == 0; });
        job_ = nullptr;
    }

  private:
    void work() {
        uint64_t seen = 0;
        std::unique_lock lock(mutex_);
        for (;;) {
            wake_.wait(lock, [&] { return stopping_ || (round_ != seen && helpers_ > 0); });
            if (stopping_) return;
            seen = round_;
            --helpers_;
            auto* job = job_;
            lock.unlock();
            (*job)();
            lock.lock();
            if (--running_ == 0) done_.notify_one();
        }
    }

    std::mutex mutex_;
    std::condition_variable wake_, done_;
    std::function<void()>* job_ = nullptr;
    uint64_t round_ = 0;
    size_t helpers_ = 0;   // threads still wanted in this round
    size_t running_ = 0;   // threads that have not finished it
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

struct MaildirWriter::Written {
    std::string folder;       // the Maildir without a trailing slash
    std::string temporary;    // path in tmp/
    std::string final_name;   // name in new/
    bool skip = false;        // failed, or there already
};

MaildirWriter::MaildirWriter(Files& files, int threads) : files_(files), pool_(std::make_unique<Pool>(threads)) {}
MaildirWriter::~MaildirWriter() = default;

namespace {

constexpr size_t kChunk = 256 * 1024;
constexpr const char* kParts[] = {"/tmp", "/new", "/cur"};   // maildir(5)

uint64_t count_lines(std::string_view text) {
    return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

tl::unexpected<Error> with_step(Error error, std::string_view step, const std::string& path) {
    return fail(error.code, std::string(step) + " " + path + ": " + std::strerror(error.code));
}

// Headers and content into `file`; counts lines for W=.
Expected<void> copy(File& file, const MaildirDelivery& delivery, uint64_t& lines) {
    std::string buffer;
    buffer.reserve(delivery.headers.size() + delivery.head.size() +
                   static_cast<size_t>(std::min<uint64_t>(kChunk, delivery.length)));
    buffer += delivery.headers;
    buffer += delivery.head;
    lines = count_lines(buffer);
    uint64_t done = 0;
    do {
        size_t room = static_cast<size_t>(std::min<uint64_t>(kChunk, delivery.length - done));
        size_t before = buffer.size();
        buffer.resize(before + room);
        size_t got = 0;
        while (got < room) {
            ssize_t n = pread(delivery.fd, buffer.data() + before + got, room - got,
                              static_cast<off_t>(delivery.offset + done + got));
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return fail_errno(errno, "error reading message");
            if (n == 0) return fail(EIO, "error reading message: it ends early");
            got += static_cast<size_t>(n);
        }
        lines += count_lines(std::string_view(buffer).substr(before));
        done += room;
        if (auto written = file.append(buffer); !written)
            return fail(written.error().code,
                        std::string("error writing message: ") + std::strerror(written.error().code));
        buffer.clear();
    } while (done < delivery.length);
    return {};
}

}   // namespace

Expected<void> MaildirWriter::make_maildir(const std::string& maildir) {
    // Postfix makes missing parents too; each new name is made durable in its folder.
    std::vector<std::string> missing;
    for (std::string path = maildir; path.size() > 1 && !files_.exists(path);) {
        missing.push_back(path);
        size_t slash = path.rfind('/');
        if (slash == std::string::npos || slash == 0) break;
        path.resize(slash);
    }
    std::reverse(missing.begin(), missing.end());
    for (const auto& path : missing) {
        if (auto made = files_.mkdir(path, 0700); !made && made.error().code != EEXIST)
            return with_step(made.error(), "create maildir", path);
        size_t slash = path.rfind('/');
        if (auto synced = files_.sync_dir(slash == 0 ? "/" : path.substr(0, slash)); !synced)
            return with_step(synced.error(), "sync maildir", path);
    }
    for (const char* part : kParts) {
        if (auto made = files_.mkdir(maildir + part, 0700); !made && made.error().code != EEXIST)
            return with_step(made.error(), "create maildir", maildir + part);
    }
    if (auto synced = files_.sync_dir(maildir); !synced) return with_step(synced.error(), "sync maildir", maildir);
    return {};
}

void MaildirWriter::write_one(MaildirDelivery& delivery, Written& written) {
    written.temporary = written.folder + "/tmp/" + delivery.base;
    uint64_t stored = delivery.headers.size() + delivery.head.size() + delivery.length;
    auto refuse = [&](tl::unexpected<Error> error) {
        delivery.result = std::move(error);
        written.skip = true;
    };
    if (delivery.size_limit > 0 && stored > delivery.size_limit)
        return refuse(fail(EFBIG, std::string("error writing message: ") + std::strerror(EFBIG)));

    auto file = files_.open(written.temporary, Open::kCreateNew, 0600);
    if (!file && file.error().code == EEXIST) {
        // Left there by an attempt that died: this name is ours alone.
        (void)files_.unlink(written.temporary);
        file = files_.open(written.temporary, Open::kCreateNew, 0600);
    }
    if (!file) return refuse(with_step(file.error(), "create maildir file", written.temporary));
    uint64_t lines = 0;
    auto result = copy(**file, delivery, lines);
    if (result) {
        result = (*file)->sync_data();
        if (!result) result = with_step(result.error(), "sync maildir file", written.temporary);
    }
    if (!result) {
        (void)files_.unlink(written.temporary);
        return refuse(fail(result.error()));
    }
    written.final_name = maildir_sized_name(delivery.base, stored, stored + lines);
}

void MaildirWriter::drop_already_delivered(std::vector<MaildirDelivery>& batch, std::vector<Written>& written) {
    std::map<std::string, std::vector<size_t>> folders;
    for (size_t i = 0; i < batch.size(); ++i)
        if (batch[i].maybe_delivered) folders[written[i].folder].push_back(i);
    for (const auto& [folder, wanted] : folders) {
        for (const char* part : {"/new", "/cur"}) {
            auto names = files_.list(folder + part);
            if (!names) continue;   // no such Maildir yet
            std::sort(names->begin(), names->end());
            bool found = false;
            for (size_t i : wanted) {
                auto at = std::lower_bound(names->begin(), names->end(), batch[i].base);
                if (at == names->end() || !maildir_name_has_base(*at, batch[i].base)) continue;
                written[i].skip = true;
                found = true;
            }
            // The earlier attempt may have died before its own sync of the folder.
            if (!found) continue;
            if (auto synced = files_.sync_dir(folder + part); !synced)
                for (size_t i : wanted)
                    if (written[i].skip) batch[i].result = with_step(synced.error(), "sync maildir", folder + part);
        }
    }
}

void MaildirWriter::deliver(std::vector<MaildirDelivery>& batch) {
    std::vector<Written> written(batch.size());
    std::map<std::string, std::vector<size_t>> folders;
    for (size_t i = 0; i < batch.size(); ++i) {
        batch[i].result = {};
        written[i].folder = batch[i].maildir;
        while (written[i].folder.size() > 1 && written[i].folder.back() == '/') written[i].folder.pop_back();
        folders[written[i].folder].push_back(i);
    }
    drop_already_delivered(batch, written);

    // Many first letters at once (a mailing to all): the folders' syncs share the file system's commits too.
    std::vector<const std::pair<const std::string, std::vector<size_t>>*> unmade;
    for (const auto& entry : folders) {
        bool whole = std::all_of(std::begin(kParts), std::end(kParts),
                                 [&](const char* part) { return files_.exists(entry.first + part); });
        if (!whole) unmade.push_back(&entry);
    }
    pool_->run(unmade.size(), [&](size_t u) {
        auto made = make_maildir(unmade[u]->first);
        if (made) return;
        for (size_t i : unmade[u]->second) {
            batch[i].result = fail(made.error());
            written[i].skip = true;
        }
    });

    pool_->run(batch.size(), [&](size_t i) {
        if (!written[i].skip) write_one(batch[i], written[i]);
    });

    std::vector<const std::pair<const std::string, std::vector<size_t>>*> touched;
    for (const auto& entry : folders) {
        bool any = false;
        for (size_t i : entry.second) {
            if (written[i].skip) continue;
            // rename, not link: the same copy delivered again replaces itself.
            std::string target = entry.first + "/new/" + written[i].final_name;
            if (auto renamed = files_.rename(written[i].temporary, target); !renamed) {
                batch[i].result = with_step(renamed.error(), "rename maildir file to", target);
                (void)files_.unlink(written[i].temporary);
                written[i].skip = true;
                continue;
            }
            any = true;
        }
        if (any) touched.push_back(&entry);
    }
    pool_->run(touched.size(), [&](size_t t) {
        std::string folder = touched[t]->first + "/new";
        auto synced = files_.sync_dir(folder);
        if (synced) return;
        for (size_t i : touched[t]->second)
            if (!written[i].skip) batch[i].result = with_step(synced.error(), "sync maildir", folder);
    });
}

}   // namespace postcot::queued
