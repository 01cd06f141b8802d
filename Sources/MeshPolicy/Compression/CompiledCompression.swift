import MeshCore
package import MeshHTTP

/// A `CompressionPolicy` ready for use. Immutable.
package final class CompiledCompression: Sendable {
  package let level: Int32
  private let types: [[UInt8]]
  private let minimumBytes: UInt64

  package init(_ policy: CompressionPolicy) {
    level = Int32(min(9, max(1, policy.level)))
    types = policy.contentTypes.map { Array($0.utf8) }
    minimumBytes = UInt64(policy.minimumBytes)
  }

  /// Whether an answer would be compressed for a client that wants it. All such answers differ by what clients accept, and say so
  /// (`Vary`), compressed or not.
  package func suits(_ response: MessageHead, framing: BodyFraming) -> Bool {
    switch response.status {
    // Without content, or a part of some: its ranges are those of the plain form.
    case ..<200, 204, 205, 206, 304: return false
    default: break
    }
    switch framing {
    case .none, .tunnel: return false
    case .length(let length) where length < max(1, minimumBytes): return false
    case .length, .chunked, .untilClose: break
    }
    guard let type = response.value(.contentType), isListed(type) else { return false }
    if let coding = response.value(.contentEncoding), !coding.trimmed.equalsIgnoringCase("identity") { return false }
    return !response.contains(.contentRange) && !forbidsTransformation(response) && !hasDigest(response)
  }

  /// What the head of a compressed answer says. A validator of the plain form stands for this one only weakly
  /// (RFC 9110, section 8.8.1); ranges cannot be asked for.
  package static func mark(_ response: MessageHead) {
    response.remove(.contentLength)
    response.remove(.contentEncoding)
    response.remove(.acceptRanges)
    response.append(.contentEncoding, "gzip")
    guard let tag = response.value(.etag), tag.count >= 2, tag[0] == UInt8(ascii: "\"") else { return }
    let weak = [UInt8(ascii: "W"), UInt8(ascii: "/")] + tag
    response.remove(.etag)
    weak.withUnsafeBytes { response.append(.etag, $0) }
  }

  /// `Vary: accept-encoding`, unless it says so already.
  package static func markVariant(_ response: MessageHead) {
    for field in response.fields where field.token == .vary && !field.isRemoved {
      let names = response.bytes(field.value).split(separator: UInt8(ascii: ","))
      for name in names.map({ UnsafeRawBufferPointer(rebasing: $0).trimmed }) {
        if name.equals("*") || name.equalsIgnoringCase("accept-encoding") { return }
      }
    }
    response.append(.vary, "accept-encoding")
  }

  // MARK: - Parts

  private func isListed(_ value: UnsafeRawBufferPointer) -> Bool {
    let end = value.firstIndex(of: UInt8(ascii: ";")) ?? value.count
    let type = value.slice(0, end).trimmed
    return types.contains { listed in
      listed.withUnsafeBytes { listed in
        guard listed.last == UInt8(ascii: "*") else { return type.equalsIgnoringCase(listed) }
        // Events are few bytes each, and whoever waits for one gains nothing: only by name.
        let start = listed.slice(0, listed.count - 1)
        return type.count > start.count && type.slice(0, start.count).equalsIgnoringCase(start)
          && !type.equalsIgnoringCase("text/event-stream")
      }
    }
  }

  private func forbidsTransformation(_ response: MessageHead) -> Bool {
    for field in response.fields where field.token == .cacheControl && !field.isRemoved {
      let directives = response.bytes(field.value).split(separator: UInt8(ascii: ","))
      if directives.contains(where: { UnsafeRawBufferPointer(rebasing: $0).trimmed.equalsIgnoringCase("no-transform") })
      {
        return true
      }
    }
    return false
  }

  /// Of the bytes as they are (RFC 9530 and those before it); what is compressed would fail the check.
  private func hasDigest(_ response: MessageHead) -> Bool {
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] as [StaticString] {
      let name = UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)
      if response.value(named: name) != nil { return true }
    }
    return false
  }
}
