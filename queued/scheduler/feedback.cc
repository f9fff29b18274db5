#include "queued/scheduler/feedback.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace postcot::queued {

double FeedbackRule::at(double concurrency) const {
    concurrency = std::max(concurrency, 1.0);
    switch (divisor) {
        case Divisor::kConcurrency:
            return numerator / concurrency;
        case Divisor::kSqrtConcurrency:
            return numerator / std::sqrt(concurrency);
        case Divisor::kNone:
            break;
    }
    return numerator;
}

FeedbackRule FeedbackRule::parse(const std::string& text) {
    FeedbackRule rule;
    char* end = nullptr;
    double number = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || number < 0 || number > 1) return rule;
    std::string rest(end);
    rest.erase(std::remove(rest.begin(), rest.end(), ' '), rest.end());
    if (rest == "/concurrency") {
        rule.divisor = Divisor::kConcurrency;
    } else if (rest == "/sqrt_concurrency") {
        rule.divisor = Divisor::kSqrtConcurrency;
    } else if (!rest.empty()) {
        return rule;
    }
    rule.numerator = number;
    return rule;
}

size_t Feedback::start() const {
    size_t initial = std::max<size_t>(settings_->initial, 1);
    return settings_->limit ? std::min(initial, settings_->limit) : initial;
}

void Feedback::succeeded(size_t in_flight) {
    failed_cohorts_ = 0;
    if (window_ == 0) {
        revive();
        return;
    }
    // Growing past what is in use would only store up trouble for when the destination fails.
    if ((settings_->limit != 0 && window_ >= settings_->limit) || window_ > in_flight + settings_->initial) return;
    success_ += settings_->positive.at(static_cast<double>(window_));
    while (success_ + 1e-4 >= 1 && (settings_->limit == 0 || window_ < settings_->limit)) {
        ++window_;
        success_ -= 1;
        failure_ = 0;
    }
    success_ = std::max(success_, 0.0);
}

void Feedback::failed() {
    if (window_ == 0) return;
    failed_cohorts_ += 1.0 / static_cast<double>(window_);
    if (settings_->cohort_limit > 0 && failed_cohorts_ + 1e-4 >= settings_->cohort_limit) {
        window_ = 0;
        return;
    }
    failure_ -= settings_->negative.at(static_cast<double>(window_));
    while (failure_ - 1e-4 < 0 && window_ > 1) {
        --window_;
        failure_ += 1;
        success_ = 0;
    }
    failure_ = std::max(failure_, 0.0);
}

void Feedback::revive() {
    window_ = start();
    success_ = failure_ = failed_cohorts_ = 0;
}

}   // namespace postcot::queued
