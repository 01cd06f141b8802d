import MeshPolicy
import SwiftProtobuf

// What a port compresses. A level that zlib does not know would be found out by the first answer only, so it is refused here.
func convertCompression(
  _ port: Apus_V1_InboundPort, limits: ConversionLimits
) throws(ConversionError) -> CompressionPolicy? {
  guard port.hasCompression else { return nil }
  let message = port.compression
  try limits.check(message.contentTypes.count, atMost: limits.maximumPairs, "compression.content_types")
  guard (1...9).contains(message.level) else {
    throw ConversionError(field: "compression.level", problem: "\(message.level) is not within 1 and 9")
  }
  return CompressionPolicy(
    contentTypes: try convertEach(message.contentTypes, "compression.content_types") { type throws(ConversionError) in
      try limits.check(type, "")
      return type
    },
    minimumBytes: message.minimumBytes, level: message.level)
}

extension Apus_V1_Compression {
  init(_ policy: CompressionPolicy) {
    self.init()
    contentTypes = policy.contentTypes
    minimumBytes = policy.minimumBytes
    level = policy.level
  }
}
