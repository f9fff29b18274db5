#include "queued/local/mbox.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "libproto/runtime/fd.h"

namespace postcot::queued {

namespace {

void wait_for_lock(const MboxDelivery& delivery) {
    timespec delay{static_cast<time_t>(delivery.lock_delay.count()), 0};
    nanosleep(&delay, nullptr);
}

class DotLock {
  public:
    ~DotLock() {
        if (!path_.empty()) unlink(path_.c_str());
    }
    Expected<void> take(const MboxDelivery& delivery) {
        std::string path = delivery.path + ".lock";
        for (int attempt = 0; attempt < std::max(1, delivery.lock_attempts); ++attempt) {
            UniqueFd fd(open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0));
            if (fd) {
                path_ = path;
                return {};
            }
            int why = errno;
            if (why != EEXIST) {
                // Postfix: a folder that we may not write, or a read-only file system, does without.
                if (why == EACCES || why == EPERM || why == EROFS) return {};
                return fail(why, "unable to create lock file " + path + ": " + std::strerror(why));
            }
            struct stat st {};
            if (stat(path.c_str(), &st) == 0 && time(nullptr) - st.st_ctime > delivery.stale_lock.count()) {
                unlink(path.c_str());
                continue;
            }
            if (attempt + 1 < delivery.lock_attempts) wait_for_lock(delivery);
        }
        return fail(EAGAIN, "unable to lock for exclusive access: " + std::string(std::strerror(EEXIST)));
    }

  private:
    std::string path_;
};

Expected<void> take_kernel_lock(int fd, const MboxDelivery& delivery) {
    for (int attempt = 0; attempt < std::max(1, delivery.lock_attempts); ++attempt) {
        bool held = true;
        if (delivery.lock_fcntl) {
            struct flock lock {};
            lock.l_type = F_WRLCK;
            lock.l_whence = SEEK_SET;
            held = fcntl(fd, F_SETLK, &lock) == 0;
        }
        if (held && delivery.lock_flock) held = flock(fd, LOCK_EX | LOCK_NB) == 0;
        if (held) return {};
        if (attempt + 1 < delivery.lock_attempts) wait_for_lock(delivery);
    }
    return fail(EAGAIN, "unable to lock for exclusive access: " + std::string(std::strerror(EAGAIN)));
}

Expected<void> write_all(int fd, std::string_view data) {
    while (!data.empty()) {
        ssize_t n = write(fd, data.data(), data.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail(errno, std::string("error writing message: ") + std::strerror(errno));
        data.remove_prefix(static_cast<size_t>(n));
    }
    return {};
}

// Quotes "From " at the start of a line and remembers over chunks where lines start. A chunk that ends within "From" is held back by the caller's
// buffer growing: at most 4 octets.
class FromQuoter {
  public:
    void feed(std::string_view in, std::string& out) {
        for (char c : in) {
            if (at_start_) {
                matched_ += c;
                constexpr std::string_view kFrom = "From ";
                if (kFrom.substr(0, matched_.size()) == matched_) {
                    if (matched_.size() < kFrom.size()) continue;
                    out += '>';
                }
                out += matched_;
                at_start_ = matched_.back() == '\n';
                matched_.clear();
                last_ = c;
                continue;
            }
            out += c;
            at_start_ = c == '\n';
            last_ = c;
        }
    }
    void end(std::string& out) {
        out += matched_;
        if (!matched_.empty()) last_ = matched_.back();
        if (last_ != '\n') out += '\n';
        out += '\n';   // mbox(5): an empty line ends the message
    }

  private:
    bool at_start_ = true;
    char last_ = '\n';
    std::string matched_;
};

// The message as it stands in the mailbox, in pieces.
template <class Sink>
Expected<void> render(const MboxDelivery& delivery, Sink sink) {
    if (Expected<void> taken = sink(delivery.from_line + delivery.headers); !taken) return taken;
    FromQuoter quoter;
    std::string out;
    quoter.feed(delivery.head, out);
    std::string chunk;
    for (uint64_t done = 0; done < delivery.length;) {
        chunk.resize(static_cast<size_t>(std::min<uint64_t>(64 * 1024, delivery.length - done)));
        ssize_t n = pread(delivery.fd, chunk.data(), chunk.size(), static_cast<off_t>(delivery.offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "error reading message");
        if (n == 0) return fail(EIO, "error reading message: it ends early");
        quoter.feed(std::string_view(chunk).substr(0, static_cast<size_t>(n)), out);
        done += static_cast<uint64_t>(n);
        if (Expected<void> taken = sink(out); !taken) return taken;
        out.clear();
    }
    quoter.end(out);
    return sink(out);
}

Expected<void> append(int fd, const MboxDelivery& delivery) {
    return render(delivery, [fd](const std::string& piece) { return write_all(fd, piece); });
}

enum class Earlier { kNone, kWhole, kCut };

// Is the message there from an earlier attempt? `cut_at`: where its unfinished copy begins. Its beginning tells (it holds the time, the recipient and our
// Received: with the queue id); a mail reader may have changed what follows.
Expected<Earlier> find_earlier(int fd, uint64_t size, const MboxDelivery& delivery, off_t& cut_at) {
    std::string whole;
    auto rendered = render(delivery, [&whole](const std::string& piece) -> Expected<void> {
        whole += piece;
        return {};
    });
    if (!rendered) return fail(rendered.error());
    size_t end = delivery.from_line.size() + delivery.headers.size();
    do {
        end = whole.find('\n', end);
        end = end == std::string::npos ? whole.size() : end + 1;
    } while (end < whole.size() && (whole[end] == ' ' || whole[end] == '\t'));
    std::string_view telling = std::string_view(whole).substr(0, end);
    if (size == 0) return Earlier::kNone;
    void* mapped = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
    if (mapped == MAP_FAILED) return fail_errno(errno, "cannot read mailbox");
    std::string_view file(static_cast<const char*>(mapped), size);
    Earlier result = Earlier::kNone;
    if (file.find(telling) != std::string_view::npos) {
        size_t at = file.rfind(telling);
        std::string_view rest = file.substr(at);
        bool cut = rest.size() < whole.size() && std::string_view(whole).substr(0, rest.size()) == rest;
        result = cut ? Earlier::kCut : Earlier::kWhole;
        cut_at = static_cast<off_t>(at);
    } else {
        // Cut so early that less than the telling lines is there, at the very end.
        for (size_t length = std::min(telling.size(), file.size()); length > 0; --length) {
            if (file.substr(file.size() - length) != telling.substr(0, length)) continue;
            bool at_start = length == file.size() || file[file.size() - length - 1] == '\n';
            if (!at_start || length < delivery.from_line.size()) break;
            result = Earlier::kCut;
            cut_at = static_cast<off_t>(file.size() - length);
            break;
        }
    }
    munmap(mapped, size);
    return result;
}

}   // namespace

Expected<void> deliver_mbox(const MboxDelivery& delivery) {
    DotLock dot;
    bool device = false;
    struct stat before {};
    if (stat(delivery.path.c_str(), &before) == 0) device = !S_ISREG(before.st_mode);
    if (delivery.lock_dot && !device)
        if (auto locked = dot.take(delivery); !locked) return locked;
    // A final symbolic link is followed only to what another process could not have swapped: Postfix's safe_open asks for a regular file with one name.
    UniqueFd fd(open(
        delivery.path.c_str(),
        (device ? O_WRONLY : O_RDWR) | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | (device ? 0 : O_NOFOLLOW), 0600));
    if (!fd) return fail(errno, "cannot update mailbox " + delivery.path + ". " + std::strerror(errno));
    struct stat st {};
    if (fstat(fd.get(), &st) != 0) return fail_errno(errno, "fstat " + delivery.path);
    if (!S_ISREG(st.st_mode)) {
        // "/dev/null" in aliases(5).
        return append(fd.get(), delivery);
    }
    if (st.st_nlink > 1) return fail(EPERM, "destination " + delivery.path + " has multiple names");
    if (delivery.strict_owner && st.st_uid != geteuid())
        return fail(EACCES, "destination " + delivery.path + " is not owned by recipient");
    if (auto locked = take_kernel_lock(fd.get(), delivery); !locked) return locked;
    if (fstat(fd.get(), &st) != 0) return fail_errno(errno, "fstat " + delivery.path);
    if (delivery.maybe_delivered) {
        off_t cut_at = 0;
        auto earlier = find_earlier(fd.get(), static_cast<uint64_t>(st.st_size), delivery, cut_at);
        if (!earlier) return fail(earlier.error());
        if (*earlier == Earlier::kWhole) {
            if (fsync(fd.get()) != 0) return fail_errno(errno, "fsync " + delivery.path);
            return {};
        }
        if (*earlier == Earlier::kCut) {
            if (ftruncate(fd.get(), cut_at) != 0) return fail_errno(errno, "cannot update mailbox " + delivery.path);
            st.st_size = cut_at;
        }
    }
    uint64_t added = delivery.from_line.size() + delivery.headers.size() + delivery.head.size() + delivery.length;
    if (delivery.size_limit > 0 && static_cast<uint64_t>(st.st_size) + added > delivery.size_limit)
        return fail(EFBIG, std::string("cannot append message to file ") + delivery.path + ": " + std::strerror(EFBIG));
    auto result = append(fd.get(), delivery);
    if (result && fsync(fd.get()) != 0) result = fail_errno(errno, "fsync " + delivery.path);
    if (!result) {
        if (ftruncate(fd.get(), st.st_size) != 0)
            return fail(result.error().code, result.error().text + "; and the file could not be cut back");
        return result;
    }
    // A file made by this delivery needs its name on disk as well.
    if (before.st_ino == 0) {
        size_t slash = delivery.path.rfind('/');
        UniqueFd folder(
            open(slash == 0 ? "/" : delivery.path.substr(0, slash).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (folder) fsync(folder.get());
    }
    return {};
}

}   // namespace postcot::queued
