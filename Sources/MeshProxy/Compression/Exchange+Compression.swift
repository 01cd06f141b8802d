import MeshCore
import MeshHTTP
import MeshPolicy
import MeshRuntime
import MeshTelemetry

// Answers of the own workload that go out compressed (docs/design/0017-requests.md).
extension Exchange {
  /// Decides on an answer whose head is here. Returns its framing.
  func beginCompression(
    _ compression: CompiledCompression, _ head: MessageHead, _ framing: BodyFraming, ended: Bool
  ) -> BodyFraming {
    guard !isGRPC, !isTunnel, !isUpgrade, !head.hasGRPCContentType else { return framing }
    // HEAD is told what GET would be; its own content has no length but the one that the head declares.
    let isHead = request.method == .head
    let described = isHead ? head.declaredFraming : framing
    guard compression.suits(head, framing: described) else { return framing }
    CompiledCompression.markVariant(head)
    guard AcceptEncoding.wantsGzip(request) else { return framing }
    if isHead {
      CompiledCompression.mark(head)
      return .none
    }
    guard !ended else { return framing }
    guard let encoder = worker.compressors.take(level: compression.level, atMost: worker.limits.maximumCompressions)
    else {
      worker.metrics.limitHit("compressions")
      return framing
    }
    CompiledCompression.mark(head)
    self.compression = ResponseCompression(encoder, of: self)
    return .chunked
  }

  /// The answer is over, whole or not.
  func endCompression() {
    guard let compression else { return }
    self.compression = nil
    compression.end(worker)
    guard let port = inboundPort else { return }
    worker.metrics.countCompression(
      service: port.serviceLabel, namespace: port.namespaceLabel, bytesIn: UInt64(compression.bytesIn),
      bytesOut: UInt64(compression.bytesOut))
  }
}
