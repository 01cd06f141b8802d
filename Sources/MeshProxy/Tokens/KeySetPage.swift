import MeshTelemetry

/// How a proxy stands with the keys of one source.
struct KeySetState {
  /// A path, or a URL without its query, which may hold what is nobody's business.
  var source: String
  /// Keys that tokens can be verified with.
  var keys: Int
  /// Why the last look for them failed; nil when it did not, or there was none yet.
  var failure: String?
  /// Unix milliseconds; nil while nothing fails.
  var failingSince: Int64?
  /// Of the last set that was had, in Unix milliseconds; nil before the first.
  var readAt: Int64?
}

extension AdminPages {
  /// Whose tokens can be verified, and whose cannot since when; ordered by source.
  func keySets() -> AdminReply {
    var json = JSONWriter()
    json.object {
      $0.array("key_sets", control.keySets.states) { json, state in
        json.object {
          $0.field("source", state.source)
          $0.field("keys", Int64(state.keys))
          $0.field("failure", state.failure ?? "")
          $0.field("failing_since_ms", state.failingSince ?? 0)
          $0.field("read_ms", state.readAt ?? 0)
        }
      }
    }
    return .json(json.text)
  }
}

extension KeySetState {
  var gauge: KeySetGauge { KeySetGauge(source: source, keys: keys, isFailing: failure != nil) }
}
