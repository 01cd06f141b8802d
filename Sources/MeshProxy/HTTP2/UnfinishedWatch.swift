import MeshCore
import MeshRuntime

/// Ends a downstream HTTP/2 connection whose peer does not finish what it began: preface and SETTINGS, a frame, a field
/// block. Slowloris in HTTP/2.
///
/// Exists only while something is half-way. It does not follow the progress of single frames: when it fires, the engine
/// says since when the part at hand has been waited for. Limit: `ProxyLimits.headerTimeout`.
final class UnfinishedWatch: TimerHandler {
  private unowned let owner: HTTP2ServerConnection
  private lazy var timer = LoopTimer(owner: self, tag: 0)

  init(_ owner: HTTP2ServerConnection, since: Instant) {
    self.owner = owner
    wait(since)
  }

  private func wait(_ since: Instant) {
    owner.worker.loop.schedule(timer, at: since + owner.worker.limits.headerTimeout)
  }

  func stop() { owner.worker.loop.cancel(timer) }

  func timerFired(_ timer: LoopTimer) {
    guard let since = owner.unfinishedSince else {
      owner.unfinishedWatch = nil
      return
    }
    if owner.worker.loop.now - since < owner.worker.limits.headerTimeout { return wait(since) }
    owner.endUnfinished()
  }
}
