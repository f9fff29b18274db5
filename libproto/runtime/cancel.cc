#include "libproto/runtime/cancel.h"

namespace postcot {

CancelWaiter::~CancelWaiter() { CancelSource::remove(*this); }

CancelSource::CancelSource(CancelSource* parent) : parent_(parent) {
    if (!parent_) return;
    code_ = parent_->code_;
    next_sibling_ = parent_->first_child_;
    if (next_sibling_) next_sibling_->prev_sibling_ = this;
    parent_->first_child_ = this;
}

CancelSource::~CancelSource() {
    while (waiters_) remove(*waiters_);
    for (CancelSource* child = first_child_; child; child = child->next_sibling_) child->parent_ = nullptr;
    if (!parent_) return;
    if (prev_sibling_) {
        prev_sibling_->next_sibling_ = next_sibling_;
    } else if (parent_->first_child_ == this) {
        parent_->first_child_ = next_sibling_;
    }
    if (next_sibling_) next_sibling_->prev_sibling_ = prev_sibling_;
}

void CancelSource::cancel(int code) {
    if (code_) return;
    code_ = code;
    while (waiters_) {
        CancelWaiter& waiter = *waiters_;
        remove(waiter);
        waiter.on_cancel(code);
    }
    for (CancelSource* child = first_child_; child; child = child->next_sibling_) child->cancel(code);
}

void CancelSource::add(CancelWaiter& waiter) {
    waiter.source_ = this;
    waiter.prev_ = nullptr;
    waiter.next_ = waiters_;
    if (waiters_) waiters_->prev_ = &waiter;
    waiters_ = &waiter;
}

void CancelSource::remove(CancelWaiter& waiter) {
    if (!waiter.source_) return;
    if (waiter.prev_) {
        waiter.prev_->next_ = waiter.next_;
    } else {
        waiter.source_->waiters_ = waiter.next_;
    }
    if (waiter.next_) waiter.next_->prev_ = waiter.prev_;
    waiter.source_ = nullptr;
    waiter.prev_ = waiter.next_ = nullptr;
}

}   // namespace postcot
