import MeshCore
import MeshPolicy

// `requests`: what the content of a request may be. 0 is a word, too: by it a route's policy lifts the limit that its service's policy sets.
extension PolicyReader {
  static func requests(_ block: Fields) -> [PolicySetting] {
    let maximum = block.optional("maximumBodyBytes")?.integer(in: 0...PolicyLimits.bodyBytes)
    let buffer = block.optional("bufferBytes")?.integer(in: 0...PolicyLimits.bodyBufferBytes)
    return [
      maximum.map { .maximumBodyBytes(UInt64($0)) }, buffer.map { .bodyBufferBytes(UInt32($0)) },
    ].compactMap(\.self)
  }
}
