import MeshCore

// `timeouts`: 0s is "no limit", except for `connect`. Refused is what proxies could not keep, rather than kept roughly.
extension PolicyReader {
  static func timeouts(_ block: Fields) -> [PolicySetting] {
    let request = block.time("request")
    let attempt = block.time("backendRequest")
    if let request, let attempt, request > .zero, attempt > request {
      block.error(
        "backendRequest", "is longer than request, which no attempt can outlast", fix: "make it at most as long")
    }
    let connect = block.time("connect")
    if connect == .zero {
      block.error("connect", "a connect without an end is not supported", fix: "write 1ms or more, or remove it for 2s")
    }
    let idle = block.time("idle")
    if let idle, idle > .zero, idle < .seconds(1) {
      block.error("idle", "streams are looked at once a second", fix: "write 1s or more, or 0s for none")
    }
    return [
      request.map { .requestTimeout($0) }, attempt.map { .backendRequestTimeout($0) },
      connect.map { .connectTimeout($0) }, idle.map { .idleTimeout($0) },
      block.time("stream").map { .streamTimeout($0) },
    ].compactMap(\.self)
  }
}
