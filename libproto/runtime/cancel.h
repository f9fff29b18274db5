// Cancellation. A CancelSource is cancelled once, with ECANCELED or ETIMEDOUT; every awaitable that waits under it (or under one of its
// children) then ends with an Error of that code. Single-threaded: the loop's thread only.
#pragma once

#include <cerrno>

namespace postcot {

// Base of every awaitable that can wait: linked into its source while suspended.
class CancelWaiter {
  public:
    virtual void on_cancel(int code) = 0;   // called once, already unlinked

  protected:
    CancelWaiter() = default;
    ~CancelWaiter();   // unlinks
    CancelWaiter(const CancelWaiter&) = delete;
    CancelWaiter& operator=(const CancelWaiter&) = delete;

  private:
    friend class CancelSource;
    CancelWaiter* prev_ = nullptr;
    CancelWaiter* next_ = nullptr;
    class CancelSource* source_ = nullptr;
};

class CancelSource {
  public:
    // A child is cancelled with its parent; `parent` may be null and must outlive the child.
    explicit CancelSource(CancelSource* parent = nullptr);
    ~CancelSource();
    CancelSource(const CancelSource&) = delete;
    CancelSource& operator=(const CancelSource&) = delete;

    void cancel(int code = ECANCELED);
    bool cancelled() const { return code_ != 0; }
    int code() const { return code_; }   // 0, ECANCELED or ETIMEDOUT

    void add(CancelWaiter& waiter);   // waiter must not be linked; if already cancelled, calls nothing: test cancelled() first
    static void remove(CancelWaiter& waiter);

  private:
    CancelSource* parent_;
    CancelSource* first_child_ = nullptr;
    CancelSource* prev_sibling_ = nullptr;
    CancelSource* next_sibling_ = nullptr;
    CancelWaiter* waiters_ = nullptr;
    int code_ = 0;
};

}   // namespace postcot
