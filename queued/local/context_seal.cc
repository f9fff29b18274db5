#include "queued/local/context_seal.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "libproto/runtime/fd.h"
#include "libproto/runtime/log.h"

namespace postcot::queued {

namespace {

constexpr size_t kKey = 32;
constexpr size_t kSeal = 32;   // HMAC-SHA256

std::string digest(const std::string& key, std::string_view bytes) {
    unsigned char out[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(bytes.data()),
         bytes.size(), out, &length);
    return std::string(reinterpret_cast<char*>(out), length);
}

std::string random_key() {
    std::string key(kKey, '\0');
    if (RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size())) != 1)
        log::fatal("no random numbers");
    return key;
}

std::string read_key(const std::string& path) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    struct stat st {};
    if (!fd || fstat(fd.get(), &st) != 0) return {};
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0 || st.st_nlink != 1) {
        log::warning("{}: not a file of mine alone: a new key is made", path);
        unlink(path.c_str());
        return {};
    }
    std::string key(kKey, '\0');
    return read(fd.get(), key.data(), key.size()) == static_cast<ssize_t>(kKey) ? key : std::string();
}

}   // namespace

ContextSeal ContextSeal::open(const std::string& data_directory) {
    std::string path = data_directory + "/local.key";
    std::string key = read_key(path);
    if (!key.empty()) return ContextSeal(std::move(key));
    key = random_key();
    std::string temporary = path + "." + std::to_string(getpid());
    UniqueFd fd(::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600));
    bool kept = fd && write(fd.get(), key.data(), key.size()) == static_cast<ssize_t>(key.size()) &&
                fsync(fd.get()) == 0 && rename(temporary.c_str(), path.c_str()) == 0;
    if (!kept) log::warning("cannot keep {}: {}", path, std::strerror(errno));
    return ContextSeal(std::move(key));
}

std::string ContextSeal::seal(std::string_view bytes) const { return digest(key_, bytes) + std::string(bytes); }

Expected<std::string> ContextSeal::unseal(std::string_view sealed) const {
    if (sealed.size() < kSeal) return fail(EPERM, "delivery context without a seal");
    std::string expected = digest(key_, sealed.substr(kSeal));
    if (CRYPTO_memcmp(expected.data(), sealed.data(), kSeal) != 0)
        return fail(EPERM, "delivery context with a seal that is not mine");
    return std::string(sealed.substr(kSeal));
}

}   // namespace postcot::queued
