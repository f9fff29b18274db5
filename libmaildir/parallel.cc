#include "libmaildir/parallel.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace postcot::maildir {

void parallel_for(size_t count, const std::function<void(size_t)>& fn) {
    constexpr size_t kWorthIt = 64;   // files per thread
    size_t threads = std::min<size_t>({4, std::max(1U, std::thread::hardware_concurrency()), count / kWorthIt});
    std::atomic<size_t> next{0};
    auto work = [&] {
        for (;;) {
            size_t begin = next.fetch_add(16);
            if (begin >= count) return;
            for (size_t i = begin; i < std::min(count, begin + 16); ++i) fn(i);
        }
    };
    std::vector<std::thread> helpers;
    for (size_t i = 1; i < threads; ++i) {
        try {
            helpers.emplace_back(work);
        } catch (const std::system_error&) {
            break;   // no more threads for us: this one does it
        }
    }
    work();
    for (std::thread& helper : helpers) helper.join();
}

}   // namespace postcot::maildir
