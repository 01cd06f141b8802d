extension FindingCode {
  /// Of times that policies say.
  var ofTimes: Reference {
    switch self {
    case .hedgeNeverBegins:
      Reference(
        .warning, "A second attempt beside the first never begins",
        "hedging waits at least as long as the request or its attempt may take, or the retry budget that it draws on is 0.",
        fix: "Lower hedging.delay below timeouts.backendRequest and timeouts.request, or let the budget admit repeats.")
    case .waitOutlastsRequest:
      Reference(
        .warning, "Answers may ask for longer waits than the request has",
        "retries.maximumRetryAfter is not below timeouts.request: a repeat that an answer asks for after such a wait never happens, "
          + "and the client waits for its time-out where it could have had the answer.",
        fix: "Make maximumRetryAfter a part of timeouts.request.")
    default:
      Reference(
        .warning, "A time limit is never reached",
        "timeouts.stream ends whatever a request became, so that a longer timeouts.request or timeouts.idle means nothing.",
        fix: "Lower the limit that is never reached, or raise timeouts.stream.")
    }
  }
}
