import MeshCore

/// Counts what a peer does that costs us much and it little; each method says which limit the connection has to end
/// for, or nil.
///
/// What a peer may do grows with the useful work it has done, and for two counts with time: honest peers do those, too,
/// at their own slow pace, on connections that live for weeks (`HTTP2Limits`).
struct HTTP2AbuseBudget {
  private let limits: HTTP2Limits
  private var queuedControlFrames = 0
  private var emptyFrames = 0
  private var resetStreams = ForgivingCount()
  private var settingsFrames = ForgivingCount()
  private var ignoredFrames = 0
  private var windowUpdates = 0
  private var streamsOpened = 0
  private var dataFramesSent = 0
  private var tinyDataFrames = 0

  init(_ limits: HTTP2Limits) { self.limits = limits }

  // MARK: - Useful work

  mutating func streamOpened() { streamsOpened &+= 1 }
  mutating func dataReceived() { emptyFrames = 0 }
  mutating func outputDrained() { queuedControlFrames = 0 }
  mutating func streamFinished() { resetStreams.forgive(1) }

  /// `isCut`: the peer's windows allowed no more, although there was more to send.
  mutating func dataFrameSent(_ bytes: Int, isCut: Bool) {
    dataFramesSent &+= 1
    if isCut, bytes < limits.tinyDataBytes {
      tinyDataFrames &+= 1
    } else if tinyDataFrames > 0 {
      tinyDataFrames -= 1
    }
  }

  // MARK: - Costs

  mutating func controlFrameQueued(_ isOutputEmpty: Bool) -> HTTP2Limit? {
    queuedControlFrames = isOutputEmpty ? 1 : queuedControlFrames + 1
    return queuedControlFrames > limits.maximumQueuedControlFrames ? .queuedControlFrames : nil
  }

  mutating func emptyFrame() -> HTTP2Limit? {
    emptyFrames += 1
    return emptyFrames > limits.maximumEmptyFrames ? .emptyFrames : nil
  }

  mutating func streamReset(at now: Instant) -> HTTP2Limit? {
    let count = resetStreams.add(at: now, forgivenPerSecond: limits.resetStreamsPerSecond)
    return count > limits.maximumResetStreams ? .resetStreams : nil
  }

  mutating func settingsFrame(_ settings: Int, at now: Instant) -> HTTP2Limit? {
    if settings > limits.maximumSettingsPerFrame { return .settingsPerFrame }
    let count = settingsFrames.add(at: now, forgivenPerSecond: limits.settingsFramesPerSecond)
    return count > limits.maximumSettingsFrames ? .settingsFrames : nil
  }

  mutating func ignoredFrame() -> HTTP2Limit? {
    ignoredFrames += 1
    let allowed = limits.maximumIgnoredFrames &+ limits.ignoredFramesPerStream &* streamsOpened
    return ignoredFrames > allowed ? .ignoredFrames : nil
  }

  mutating func windowUpdate() -> HTTP2Limit? {
    windowUpdates += 1
    let allowed = limits.maximumWindowUpdates &+ 2 &* streamsOpened &+ 20 &* dataFramesSent
    return windowUpdates > allowed ? .windowUpdates : nil
  }

  /// Found while sending; the connection ends with the next frame that is read.
  var overdrawn: HTTP2Limit? { tinyDataFrames > limits.maximumTinyDataFrames ? .tinyDataFrames : nil }
}

/// A count that falls with time: a token bucket seen from its other end.
private struct ForgivingCount {
  private var count = 0
  private var since = Instant(nanoseconds: 0)

  mutating func forgive(_ n: Int) { count = max(0, count &- n) }

  mutating func add(at now: Instant, forgivenPerSecond rate: Int) -> Int {
    let seconds = (now - since).nanoseconds / 1_000_000_000
    if seconds > 0 {
      // After so many seconds everything is forgiven; more would only overflow.
      forgive(Int(min(seconds, 1_000_000)) &* rate)
      since = now
    }
    count += 1
    return count
  }
}
