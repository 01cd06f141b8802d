package import MeshCore

/// A service of the mesh that says whether requests may pass: Envoy's `envoy.service.auth.v3.Authorization/Check`, or an HTTP server that
/// answers 200 to what may pass, as Envoy's `http_service`.
package struct ExternalAuthorizer: Hashable, Sendable {
  package enum Wire: Hashable, Sendable {
    case grpc(GRPC)
    case http(HTTP)
  }

  package struct GRPC: Hashable, Sendable {
    /// Told with every question (`context_extensions`), by ascending key.
    package var context: [Pair]

    package init(context: [Pair] = []) { self.context = context }
  }

  /// Names of fields are in lower case.
  package struct HTTP: Hashable, Sendable {
    /// Stands before the path of the request; empty, or `/check`.
    package var pathPrefix: String
    /// Of an answer that allows, taken over into the request. The client's own fields of these names never go on.
    package var requestFields: [String]
    /// Of an answer that allows, told to the client.
    package var responseFields: [String]
    /// Of an answer that denies, told to the client; nil: all.
    package var denialFields: [String]?

    package init(
      pathPrefix: String = "", requestFields: [String] = [], responseFields: [String] = [],
      denialFields: [String]? = nil
    ) {
      self.pathPrefix = pathPrefix
      self.requestFields = requestFields
      self.responseFields = responseFields
      self.denialFields = denialFields
    }
  }

  package struct Pair: Hashable, Sendable {
    package var key: String
    package var value: String

    package init(key: String, value: String) {
      self.key = key
      self.value = value
    }
  }

  /// How much of a request's content is part of the question.
  package struct Content: Hashable, Sendable {
    /// The request waits until so much of it is here, or all of it.
    package var maximumBytes: UInt32
    /// Longer content is told in part; otherwise such a request is answered 413.
    package var allowsPart: Bool
    /// As bytes (`raw_body`), not as text (`body`). Of gRPC only.
    package var isRaw: Bool

    package init(maximumBytes: UInt32, allowsPart: Bool = false, isRaw: Bool = false) {
      self.maximumBytes = maximumBytes
      self.allowsPart = allowsPart
      self.isRaw = isRaw
    }
  }

  /// What becomes of a request when the service does not answer in time, or not well.
  package enum Failure: Hashable, Sendable {
    case allow
    case deny(status: UInt16)
  }

  package static let defaultTimeout = TimeSpan.milliseconds(200)

  /// Who is asked.
  package var service: ServicePort
  package var wire: Wire
  package var timeout: TimeSpan
  package var failure: Failure
  /// Fields of the request that are told, in lower case. Nil: all of them by gRPC, `authorization` alone by HTTP, which has it always.
  package var fields: [String]?
  /// Nil: content goes on as it comes.
  package var content: Content?

  package init(
    service: ServicePort, wire: Wire, timeout: TimeSpan = ExternalAuthorizer.defaultTimeout,
    failure: Failure = .deny(status: 403), fields: [String]? = nil, content: Content? = nil
  ) {
    self.service = service
    self.wire = wire
    self.timeout = timeout
    self.failure = failure
    self.fields = fields
    self.content = content
  }
}
