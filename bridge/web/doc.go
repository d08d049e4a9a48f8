// Package web is the glue between Fiber and the rest of the project: the one
// place where an error becomes an answer ([ErrorHandler]), the reading of JSON
// bodies ([Decode]) and of paging parameters ([Paging]), the correlation id
// ([ContextID]), deadlines, limits, security headers and the client's address.
//
// It knows no route, no domain and no store, and of the project it imports the
// root package only. Start with [NewApp], which builds the application that the
// adapters mount their routes on; [Use] shows the order of the middleware.
//
// Everything here may be called concurrently; a function that takes a
// *fiber.Ctx may be called only by the handler that owns it.
package web
