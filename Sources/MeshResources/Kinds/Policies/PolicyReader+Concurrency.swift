import MeshCore
import MeshPolicy

extension PolicyReader {
  /// The block counts as a whole: a least limit of one policy above the greatest of another would be nobody's.
  static func adaptiveConcurrency(_ block: Fields) -> [PolicySetting] {
    let isOn = block.optional("enabled").map { $0.bool() ?? true }
    let count = 1...PolicyLimits.count
    let (minimum, maximum) = (block.count("minimum", count), block.count("maximum", count))
    let (interval, probeInterval) = (block.time("interval"), block.time("probeInterval"))
    let tolerance = block.count("tolerancePercent", PolicyLimits.tolerancePercent)
    var settings = AdaptiveConcurrency()
    settings.minimum = minimum ?? settings.minimum
    settings.maximum = maximum ?? max(settings.maximum, settings.minimum)
    settings.interval = interval ?? settings.interval
    settings.probeInterval = probeInterval ?? settings.probeInterval
    settings.tolerancePercent = tolerance ?? settings.tolerancePercent
    if settings.minimum > settings.maximum {
      block.error("minimum", "is more than maximum", fix: "make it at most as much")
    }
    if settings.interval < .milliseconds(10) {
      block.error("interval", "is shorter than 10ms, too short to judge by", fix: "write 10ms or more")
    }
    if settings.probeInterval < .seconds(1) {
      block.error(
        "probeInterval", "is shorter than 1s; every measurement refuses a few requests", fix: "write 1s or more")
    }
    guard !block.context.hasErrors else { return [] }
    let isSilent = minimum == nil && maximum == nil && interval == nil && probeInterval == nil && tolerance == nil
    if isOn == false, !isSilent {
      block.error("enabled", "is false, so the fields beside it say nothing", fix: "remove them, or write true")
    }
    if isOn == nil, isSilent { return [] }
    return [.adaptiveConcurrency(isOn == false ? nil : settings)]
  }
}
