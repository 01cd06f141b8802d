import MeshCore
package import MeshHTTP

/// The messages of `envoy.service.auth.v3.Authorization/Check`, as far as a client needs them; written and read by hand, as those of
/// rate limits are.
package enum CheckMessages {
  package static let path: StaticString = "/envoy.service.auth.v3.Authorization/Check"
  /// Longer answers are not looked at.
  package static let maximumAnswerBytes = 64 * 1024
  /// Fields of an answer's message that change fields or parameters. More make the answer none: each costs a look at the whole head.
  package static let maximumChanges = 256

  // MARK: - The question

  /// `CheckRequest` in a frame of gRPC. Without a head: of a connection whose bytes nobody looks at.
  package static func request(
    _ question: AuthorizationQuestion, head: MessageHead?, _ authorizer: ExternalAuthorizer
  ) -> [UInt8] {
    var context = ProtobufWriter()
    context.bytes(1, peer(question.source))
    context.bytes(2, peer(question.destination))
    var request = ProtobufWriter()
    request.bytes(1, timestamp(question.unixMilliseconds))
    if let head { request.bytes(2, http(question, head, authorizer)) }
    context.bytes(4, request.output)
    if case .grpc(let grpc) = authorizer.wire {
      for pair in grpc.context { context.bytes(10, entry(Array(pair.key.utf8), Array(pair.value.utf8))) }
    }
    var message = ProtobufWriter()
    message.bytes(1, context.output)
    return GRPCFrame.of(message.output)
  }

  /// `AttributeContext.Peer`
  private static func peer(_ peer: AuthorizationQuestion.Peer) -> [UInt8] {
    var message = ProtobufWriter()
    if let address = peer.address {
      var socket = ProtobufWriter()
      socket.bytes(2, Array(address.host.utf8))
      socket.number(3, UInt64(address.port))
      var wrapper = ProtobufWriter()
      wrapper.bytes(1, socket.output)
      message.bytes(1, wrapper.output)
    }
    message.text(2, peer.service)
    message.text(4, peer.principal)
    return message.output
  }

  private static func timestamp(_ milliseconds: Int64) -> [UInt8] {
    var message = ProtobufWriter()
    message.number(1, UInt64(max(0, milliseconds) / 1_000))
    message.number(2, UInt64(max(0, milliseconds) % 1_000 * 1_000_000))
    return message.output
  }

  /// `AttributeContext.HttpRequest`
  private static func http(
    _ question: AuthorizationQuestion, _ head: MessageHead, _ authorizer: ExternalAuthorizer
  ) -> [UInt8] {
    var message = ProtobufWriter()
    let method = head.writtenMethod
    if let id = head.value(.xRequestId) { message.bytes(1, Array(id).repairedUTF8) }
    message.bytes(2, method)
    for (name, value) in fields(head, authorizer, isPartial: question.isPartial) {
      message.bytes(3, entry(name, value))
    }
    message.bytes(4, Array(head.bytes(head.path)).repairedUTF8)
    message.bytes(5, Array(head.bytes(head.authority)).repairedUTF8)
    message.bytes(6, Array(head.bytes(head.scheme)).repairedUTF8)
    // Minus one, as Envoy has it where nobody knows: ten bytes of 64 bits.
    message.number(9, question.contentLength ?? UInt64(bitPattern: -1))
    message.bytes(
      10, Array((head.version == .http2 ? "HTTP/2" : head.version == .http10 ? "HTTP/1.0" : "HTTP/1.1").utf8))
    guard let content = authorizer.content else { return message.output }
    if content.isRaw { message.bytes(12, question.body) } else { message.bytes(11, question.body.repairedUTF8) }
    return message.output
  }

  /// Lines of one name are joined, as a map has each name once.
  private static func fields(
    _ head: MessageHead, _ authorizer: ExternalAuthorizer, isPartial: Bool
  ) -> [(name: [UInt8], value: [UInt8])] {
    var result: [(name: [UInt8], value: [UInt8])] = [
      (Array(":method".utf8), head.writtenMethod), (Array(":path".utf8), Array(head.bytes(head.path)).repairedUTF8),
      (Array(":authority".utf8), Array(head.bytes(head.authority)).repairedUTF8),
      (Array(":scheme".utf8), Array(head.bytes(head.scheme)).repairedUTF8),
    ]
    let choice = FieldChoice(authorizer.fields)
    var places: [[UInt8]: Int] = [:]
    for field in head.fields {
      guard let name = choice.name(of: field, in: head), name != partialName else { continue }
      let value = Array(head.bytes(field.value)).repairedUTF8
      if let place = places[name] {
        result[place].value += Array((field.token == .cookie ? "; " : ",").utf8) + value
      } else {
        places[name] = result.count
        result.append((name.repairedUTF8, value))
      }
    }
    if authorizer.content != nil { result.append((partialName, Array(isPartial ? "true".utf8 : "false".utf8))) }
    return result
  }

  /// The name that Envoy's servers look for.
  private static let partialName = Array("x-envoy-auth-partial-body".utf8)

  private static func entry(_ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
    var message = ProtobufWriter()
    message.bytes(1, key)
    message.bytes(2, value)
    return message.output
  }
}

extension MessageHead {
  fileprivate var writtenMethod: [UInt8] {
    if method == .other { return Array(bytes(methodBytes)) }
    let name = method.name
    return Array(UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
  }
}

extension [UInt8] {
  /// Text as protobuf demands it. A server refuses a message with anything else: one strange byte in a field would let a request pass
  /// where the failure of its authorizer allows.
  var repairedUTF8: [UInt8] {
    if allSatisfy({ $0 < 0x80 }) { return self }
    return Array(String(decoding: self, as: UTF8.self).utf8)
  }
}

extension ProtobufWriter {
  /// Nothing for an empty text, which is what a reader takes it for anyway.
  mutating func text(_ field: Int, _ value: String) {
    if !value.isEmpty { bytes(field, Array(value.utf8)) }
  }
}
