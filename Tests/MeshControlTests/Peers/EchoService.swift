import GRPCCore

/// Messages that are bytes: nothing to generate.
struct RawBytes: MessageSerializer, MessageDeserializer {
  func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }

  func deserialize<Bytes: GRPCContiguousBytes>(_ serializedMessageBytes: Bytes) throws -> [UInt8] {
    serializedMessageBytes.withUnsafeBytes { Array($0) }
  }
}

extension MethodDescriptor {
  static let echo = MethodDescriptor(service: .test, method: "Echo")
  static let chat = MethodDescriptor(service: .test, method: "Chat")
  static let missing = MethodDescriptor(service: .test, method: "Missing")
}

extension ServiceDescriptor {
  fileprivate static let test = ServiceDescriptor(fullyQualifiedService: "test.Echo")
}

/// Sends back what it gets; `x-do` asks for an error (`fail`) or for silence until the call is cancelled (`wait`).
final class EchoService: RegistrableRPCService, Sendable {
  private let (cancellations, told) = AsyncStream.makeStream(of: Void.self)

  /// Returns once a waiting call was cancelled.
  func cancelled() async {
    for await _ in cancellations { return }
  }

  func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
    router.registerHandler(forMethod: .echo, deserializer: RawBytes(), serializer: RawBytes()) { request, _ in
      try await self.echo(request)
    }
    router.registerHandler(forMethod: .chat, deserializer: RawBytes(), serializer: RawBytes()) { request, _ in
      StreamingServerResponse { writer in
        for try await message in request.messages { try await writer.write(message) }
        return [:]
      }
    }
  }

  private func echo(_ request: StreamingServerRequest<[UInt8]>) async throws -> StreamingServerResponse<[UInt8]> {
    switch Array(request.metadata[stringValues: "x-do"]).first {
    case "fail": throw RPCError(code: .failedPrecondition, message: "not yet: 100% é")
    case "wait":
      let (over, end) = AsyncStream.makeStream(of: Void.self)
      await withRPCCancellationHandler {
        for await _ in over {}
      } onCancelRPC: {
        end.finish()
        self.told.yield()
      }
      throw RPCError(code: .cancelled, message: "as the client wished")
    default:
      let message = try await request.messages.reduce(into: [UInt8]()) { $0 += $1 }
      var metadata = Metadata()
      for value in request.metadata[binaryValues: "x-raw-bin"] { metadata.addBinary(value, forKey: "x-raw-bin") }
      return StreamingServerResponse(single: ServerResponse(message: message, metadata: metadata))
    }
  }
}
