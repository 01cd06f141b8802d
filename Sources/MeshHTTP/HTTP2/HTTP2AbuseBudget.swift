/// Counts what a peer does that costs us much and it little; each method says why the connection has to end, or nil.
///
/// There is no clock in it: what a peer may do grows with the useful work it has done (`HTTP2Limits`).
struct HTTP2AbuseBudget {
  private let limits: HTTP2Limits
  private var queuedControlFrames = 0
  private var emptyFrames = 0
  private var resetStreams = 0
  private var ignoredFrames = 0
  private var windowUpdates = 0
  private var streamsOpened = 0
  private var dataFramesSent = 0

  init(_ limits: HTTP2Limits) { self.limits = limits }

  // MARK: - Useful work

  mutating func streamOpened() { streamsOpened &+= 1 }
  mutating func dataFrameSent() { dataFramesSent &+= 1 }
  mutating func dataReceived() { emptyFrames = 0 }
  mutating func outputDrained() { queuedControlFrames = 0 }
  mutating func streamFinished() { if resetStreams > 0 { resetStreams -= 1 } }

  // MARK: - Costs

  mutating func controlFrameQueued(_ isOutputEmpty: Bool) -> StaticString? {
    queuedControlFrames = isOutputEmpty ? 1 : queuedControlFrames + 1
    return queuedControlFrames > limits.maximumQueuedControlFrames ? "too many control frames to answer" : nil
  }

  mutating func emptyFrame() -> StaticString? {
    emptyFrames += 1
    return emptyFrames > limits.maximumEmptyFrames ? "too many empty DATA frames" : nil
  }

  mutating func streamReset() -> StaticString? {
    resetStreams += 1
    return resetStreams > limits.maximumResetStreams ? "too many reset streams" : nil
  }

  mutating func ignoredFrame() -> StaticString? {
    ignoredFrames += 1
    let allowed = limits.maximumIgnoredFrames &+ limits.ignoredFramesPerStream &* streamsOpened
    return ignoredFrames > allowed ? "too many frames without effect" : nil
  }

  mutating func windowUpdate() -> StaticString? {
    windowUpdates += 1
    let allowed = limits.maximumWindowUpdates &+ 2 &* streamsOpened &+ 20 &* dataFramesSent
    return windowUpdates > allowed ? "too many WINDOW_UPDATE frames" : nil
  }
}
