// A disk in memory that keeps exactly what files.h promises, and no more. It counts the operations that change something, stops at any of
// them, and gives the disk as it may look after the power came back. Thread-safe, as the real one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "libproto/runtime/files.h"

namespace postcot {

enum class Loss {
    kNothing,   // kill -9: what a call returned from is there
    kAll,       // everything unsynced is gone
    kPrefix,    // of each file and of all name changes, a random prefix survives
    kTorn,      // any subset survives: sectors of 512 octets and single name changes, each by the toss of a coin
};

class SimFiles final : public Files {
  public:
    SimFiles();   // holds an empty "/"
    ~SimFiles() override;

    // Changing operations so far: creation, write, truncation, sync, name changes.
    uint64_t operations() const;
    // From now on `count` more changing operations succeed; then everything fails with EIO. With `partial`, the operation at
    // which it stops still writes half of its data, if it is a write.
    void crash_after(uint64_t count, bool partial = false);
    bool crashed() const;
    // The disk that the next start finds. This one stays as it is.
    std::unique_ptr<SimFiles> after(Loss loss, uint64_t seed = 0) const;
    // Files may grow by so much more, all together; what is truncated or unlinked counts again. A write past it writes what fits and fails with ENOSPC.
    void set_room(uint64_t octets);
    void set_room_unlimited();
    // Everything so far is on the disk: for setting up.
    void sync_everything();

    Expected<std::unique_ptr<File>> open(const std::string& path, Open how, mode_t mode = 0600) override;
    Expected<void> rename(const std::string& from, const std::string& to) override;
    Expected<void> link(const std::string& from, const std::string& to) override;
    Expected<void> unlink(const std::string& path) override;
    Expected<void> mkdir(const std::string& path, mode_t mode = 0700) override;
    Expected<void> rmdir(const std::string& path) override;
    Expected<void> sync_dir(const std::string& path) override;
    Expected<std::vector<std::string>> list(const std::string& path) override;
    Expected<struct stat> stat(const std::string& path) override;
    bool exists(const std::string& path) override;

    struct State;

  private:
    explicit SimFiles(std::shared_ptr<State> state);
    std::shared_ptr<State> state_;
};

// Runs `work` again and again on a disk that `prepare` made, stopped after each possible operation, and shows `check` every disk that may
// remain (each Loss, several seeds for the random ones). Returns the number of disks checked.
uint64_t for_each_crash(const std::function<void(SimFiles&)>& prepare, const std::function<void(SimFiles&)>& work,
                        const std::function<void(SimFiles& survivor, uint64_t operations, Loss loss)>& check,
                        unsigned seeds = 4);

}   // namespace postcot
