import MeshCore
import MeshPolicy

// The bounds are looked at again on the proxy's side: a limit that may fall to 0 would close its port for good.
extension AdaptiveConcurrency {
  init(_ message: Apus_V1_AdaptiveConcurrency) throws(ConversionError) {
    guard message.minimum >= 1, message.minimum <= message.maximum else {
      throw ConversionError(field: "minimum", problem: "\(message.minimum) is not within 1 and the maximum")
    }
    self.init(
      minimum: message.minimum, maximum: message.maximum,
      interval: try convertSomeTime(message.intervalMs, "interval_ms"),
      probeInterval: try convertSomeTime(message.probeIntervalMs, "probe_interval_ms"),
      tolerancePercent: message.tolerancePercent)
  }
}

extension Apus_V1_AdaptiveConcurrency {
  init(_ settings: AdaptiveConcurrency) {
    self.init()
    minimum = settings.minimum
    maximum = settings.maximum
    intervalMs = settings.interval.wireMilliseconds
    probeIntervalMs = settings.probeInterval.wireMilliseconds
    tolerancePercent = settings.tolerancePercent
  }
}

func convertAdaptiveConcurrency(_ port: Apus_V1_InboundPort) throws(ConversionError) -> AdaptiveConcurrency? {
  guard port.hasAdaptiveConcurrency else { return nil }
  do throws(ConversionError) {
    return try AdaptiveConcurrency(port.adaptiveConcurrency)
  } catch {
    throw error.inside("adaptive_concurrency")
  }
}
